{{/* The name of all objects, short enough for what is appended: "-coordinator-0" and hashes of the controller. */}}
{{- define "entail.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change: selectors of a StatefulSet cannot. Takes (list root component). */}}
{{- define "entail.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Takes (list root component). */}}
{{- define "entail.labels" -}}
{{- $root := index . 0 -}}
{{ include "entail.selector" . }}
app.kubernetes.io/part-of: entail
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "entail.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "entail.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "entail.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* A quantity such as 512Mi or 4Gi in MiB; the schema lets nothing else through. */}}
{{- define "entail.mebibytes" -}}
{{- if hasSuffix "Gi" . -}}
{{- mul (trimSuffix "Gi" . | int64) 1024 -}}
{{- else -}}
{{- trimSuffix "Mi" . | int64 -}}
{{- end -}}
{{- end -}}

{{/* ENTAIL_MEMORY: the share of the limit, and at least 256 MiB less than the limit. Takes a role's values. */}}
{{- define "entail.memory" -}}
{{- $limit := include "entail.mebibytes" .resources.limits.memory | int64 -}}
{{- min (div (mul $limit .memoryShare) 100) (sub $limit 256) -}}MiB
{{- end -}}

{{/* ENTAIL_GRACE: what is left of the grace period for what is going on, when preStop has waited and some seconds are kept
for the end itself. Takes a role's values. */}}
{{- define "entail.grace" -}}
{{- sub (sub .terminationGracePeriodSeconds .preStopSeconds) 6 -}}s
{{- end -}}

{{- define "entail.minNodes" -}}
{{- if kindIs "invalid" .Values.cluster.minNodes -}}
{{- .Values.node.replicas -}}
{{- else -}}
{{- .Values.cluster.minNodes -}}
{{- end -}}
{{- end -}}

{{/* What the "restricted" level of Pod Security asks for, and the group that volumes get. */}}
{{- define "entail.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "entail.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What the Pods of both roles have in common. Takes (list root role-values). */}}
{{- define "entail.podCommon" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
serviceAccountName: {{ include "entail.serviceAccountName" $root }}
automountServiceAccountToken: false
# Otherwise a Service named "entail" puts ENTAIL_... variables of its own into every Pod of the namespace.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $role.terminationGracePeriodSeconds }}
securityContext:
  {{- include "entail.podSecurity" $root | nindent 2 }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $role.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $role.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $role.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $role.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Variables of both roles. Takes (list root role-values service-name). */}}
{{- define "entail.envCommon" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: ENTAIL_DATA
  value: /var/lib/entail
- name: ENTAIL_HTTP_LISTEN
  value: 0.0.0.0:7402
- name: ENTAIL_GRACE
  value: {{ include "entail.grace" $role }}
- name: ENTAIL_MEMORY
  value: {{ include "entail.memory" $role }}
- name: ENTAIL_LOG_FORMAT
  value: {{ $root.Values.log.format }}
- name: ENTAIL_LOG
  value: {{ $root.Values.log.filter | quote }}
{{- with $root.Values.tracing }}
{{- if .endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name={{ $root.Release.Namespace }},k8s.pod.name=$(POD_NAME),service.instance.id=$(POD_NAME)
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .sampleRatio | quote }}
{{- range $name, $value := .extraEnv }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Waits before SIGTERM, so that callers learn that the Pod ends. Takes a role's values. */}}
{{- define "entail.lifecycle" -}}
{{- if .preStopSeconds -}}
lifecycle:
  preStop:
    sleep:
      seconds: {{ .preStopSeconds }}
{{- end -}}
{{- end -}}

{{/* The volume of a role. Takes (list persistence component root). */}}
{{- define "entail.claim" -}}
{{- $claim := index . 0 -}}
{{- $root := index . 2 -}}
metadata:
  name: data
  labels:
    {{- include "entail.selector" (list $root (index . 1)) | nindent 4 }}
  {{- with $claim.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  accessModes: [ReadWriteOnce]
  {{- if eq $claim.storageClass "-" }}
  storageClassName: ""
  {{- else if $claim.storageClass }}
  storageClassName: {{ $claim.storageClass }}
  {{- end }}
  resources:
    requests:
      storage: {{ $claim.size }}
{{- end -}}

{{/* A container of the test: one command of the program. Takes (list root step timeout-flag). */}}
{{- define "entail.testStep" -}}
{{- $root := index . 0 -}}
{{- $step := index . 1 -}}
- name: {{ $step.name }}
  image: {{ include "entail.image" $root }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args:
    {{- range append $step.args (index . 2) }}
    - {{ . | quote }}
    {{- end }}
  env:
    - name: ENTAIL_SERVER
      value: http://{{ include "entail.fullname" $root }}.{{ $root.Release.Namespace }}.svc:{{ $root.Values.service.port }}
  resources:
    requests: {cpu: 50m, memory: 64Mi}
    limits: {memory: 256Mi}
  securityContext:
    {{- include "entail.containerSecurity" $root | nindent 4 }}
  volumeMounts:
    - {name: test, mountPath: /test, readOnly: true}
{{- end -}}
