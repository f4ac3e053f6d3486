{{/* The name of all objects, short enough for suffixes: "-coordinator-0" and hashes of the controller. */}}
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

{{/* The labels of an object, which may change. Takes (list root component more-labels...). */}}
{{- define "entail.labels" -}}
{{- $root := index . 0 -}}
{{ include "entail.selector" . }}
app.kubernetes.io/part-of: entail
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with include "entail.merged" (concat (list $root.Values.commonLabels) (slice . 2)) }}
{{ . }}
{{- end }}
{{- end -}}

{{/* Labels of a Pod. Without versions: a new chart alone must not restart Pods. Takes (list root component more-labels...). */}}
{{- define "entail.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "entail.selector" . }}
app.kubernetes.io/part-of: entail
{{- with include "entail.merged" (concat (list $root.Values.commonLabels) (slice . 2)) }}
{{ . }}
{{- end }}
{{- end -}}

{{/* The key `annotations`; empty without annotations. Takes (list root more-annotations...). */}}
{{- define "entail.annotations" -}}
{{- with include "entail.merged" (concat (list (index . 0).Values.commonAnnotations) (slice . 1)) -}}
annotations:
  {{- . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Merges maps, later ones take precedence; empty if all are empty. Takes a list of maps. */}}
{{- define "entail.merged" -}}
{{- $all := dict -}}
{{- range . -}}
{{- $all = mergeOverwrite $all (deepCopy (default dict .)) -}}
{{- end -}}
{{- if $all -}}
{{- toYaml $all -}}
{{- end -}}
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

{{/* A quantity such as 512Mi or 4Gi in MiB; the schema rejects other forms. */}}
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

{{/* ENTAIL_GRACE: the part of the grace period for requests in progress: without the wait of preStop and 6 seconds
for the shutdown itself. Takes a role's values. */}}
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

{{/* A map without the keys whose value is null, which is how a user removes a default. */}}
{{- define "entail.withoutNulls" -}}
{{- $kept := dict -}}
{{- range $key, $value := . -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $kept $key $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $kept -}}
{{- end -}}

{{/* The fields that the Pods of both roles share. Takes (list root role-values). */}}
{{- define "entail.podCommon" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
serviceAccountName: {{ include "entail.serviceAccountName" $root }}
automountServiceAccountToken: {{ $root.Values.serviceAccount.automountToken }}
# Otherwise a Service named "entail" would inject ENTAIL_... variables into every Pod of the namespace.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $role.terminationGracePeriodSeconds }}
securityContext:
  {{- include "entail.withoutNulls" $root.Values.podSecurityContext | nindent 2 }}
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
{{- range $field := list "priorityClassName" "schedulerName" "runtimeClassName" "dnsPolicy" }}
{{- with index $role $field }}
{{ $field }}: {{ . }}
{{- end }}
{{- end }}
{{- range $field := list "dnsConfig" "hostAliases" "initContainers" }}
{{- with index $role $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with $role.extraVolumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Topology spread constraints: the chart's two constraints, then the user's own. Takes (list root component role-values). */}}
{{- define "entail.spread" -}}
{{- $selector := dict "matchLabels" (include "entail.selector" . | fromYaml) -}}
{{- $role := index . 2 -}}
{{- $all := list -}}
{{- with $role.topologySpread -}}
{{- range $key, $how := dict "topology.kubernetes.io/zone" .zones "kubernetes.io/hostname" .hosts -}}
{{- if ne $how "Off" -}}
{{- $all = append $all (dict "maxSkew" 1 "topologyKey" $key "whenUnsatisfiable" $how "labelSelector" $selector) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $role.topologySpreadConstraints -}}
{{- $all = append $all (merge (deepCopy .) (ternary dict (dict "labelSelector" $selector) (hasKey . "labelSelector"))) -}}
{{- end -}}
{{- with $all -}}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* The fields that the specs of both StatefulSets share, without the Pod. Takes a role's values. */}}
{{- define "entail.setCommon" -}}
updateStrategy:
  {{- toYaml .updateStrategy | nindent 2 }}
{{- with .minReadySeconds }}
minReadySeconds: {{ . }}
{{- end }}
persistentVolumeClaimRetentionPolicy:
  whenDeleted: {{ .persistence.whenDeleted }}
  whenScaled: {{ .persistence.whenScaled }}
{{- end -}}

{{/* The user's additions to the role's container. Takes (list root role-values). */}}
{{- define "entail.containerCommon" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
resources:
  {{- toYaml $role.resources | nindent 2 }}
securityContext:
  {{- include "entail.withoutNulls" $root.Values.containerSecurityContext | nindent 2 }}
volumeMounts:
  - {name: data, mountPath: /var/lib/entail}
  {{- with $role.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $role.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "entail.lifecycle" $role }}
{{ . }}
{{- end }}
{{- end -}}

{{/* All environment variables of a role that the chart sets. Takes (list root component). */}}
{{- define "entail.env" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $role := index $root.Values $component -}}
{{- $name := include "entail.fullname" $root -}}
{{ include "entail.envCommon" (list $root $role) }}
{{- if eq $component "node" }}
- name: ENTAIL_COORDINATOR
  value: http://{{ $name }}-coordinator.{{ $root.Release.Namespace }}.svc:7401
- name: ENTAIL_PEER_LISTEN
  value: 0.0.0.0:7411
# The name stays the same when the Pod's address changes.
- name: ENTAIL_ADVERTISE
  value: $(POD_NAME).{{ $name }}-node.{{ $root.Release.Namespace }}.svc:7411
- name: ENTAIL_NAME
  value: $(POD_NAME)
{{- if not (kindIs "invalid" $role.threads) }}
- name: ENTAIL_THREADS
  value: {{ $role.threads | int64 | quote }}
{{- end }}
{{- else }}
- name: ENTAIL_LISTEN
  value: 0.0.0.0:7400
- name: ENTAIL_PEER_LISTEN
  value: 0.0.0.0:7401
- name: ENTAIL_SHARDS
  value: {{ $root.Values.cluster.shards | int64 | quote }}
- name: ENTAIL_MIN_NODES
  value: {{ include "entail.minNodes" $root | quote }}
- name: ENTAIL_QUERY_TIMEOUT
  value: {{ $root.Values.cluster.queryTimeout }}
- name: ENTAIL_ROWS_MAX
  value: {{ $root.Values.cluster.rowsMax | int64 | quote }}
{{- if not (kindIs "invalid" $role.threads) }}
- name: TOKIO_WORKER_THREADS
  value: {{ $role.threads | int64 | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Environment variables of both roles. Takes (list root role-values). */}}
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

{{/* A wait before SIGTERM, so that callers see that the Pod is terminating. Takes a role's values. */}}
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
  accessModes: {{ toJson $claim.accessModes }}
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
    {{- include "entail.withoutNulls" $root.Values.containerSecurityContext | nindent 4 }}
  volumeMounts:
    - {name: test, mountPath: /test, readOnly: true}
{{- end -}}
