{{/* The state of a running release, looked up in the cluster. Without a cluster (`helm template`) `lookup` finds nothing.

The number of running nodes: empty if there is no StatefulSet. Takes root. */}}
{{- define "entail.liveNodes" -}}
{{- with lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-node" (include "entail.fullname" .)) -}}
{{- .spec.replicas -}}
{{- end -}}
{{- end -}}

{{/* The number of shards in the running coordinator's environment: empty if there is none. Takes root. */}}
{{- define "entail.liveShards" -}}
{{- with lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-coordinator" (include "entail.fullname" .)) -}}
{{- range (index .spec.template.spec.containers 0).env -}}
{{- if eq .name "ENTAIL_SHARDS" -}}
{{- .value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Refuses values that would lose data of a running cluster, or of one whose volumes still exist. Takes root. */}}
{{- define "entail.checkLive" -}}
{{- if .Values.liveChecks.enabled -}}
{{- $replicas := int .Values.node.replicas -}}
{{- $name := printf "%s-node" (include "entail.fullname" .) -}}
{{- $lost := "each shard has one copy, so the facts that they hold would become unavailable, and every query that needs them would fail" -}}
{{- $how := "`entail status` shows how many shards each node holds. Set node.allowScaleIn=true to do it anyway" -}}
{{- if not .Values.node.allowScaleIn -}}
{{- /* 0 without a StatefulSet, or with a stopped one: then the volumes are checked. Otherwise they are not: they stay after an allowed scale-in. */ -}}
{{- $live := include "entail.liveNodes" . | int -}}
{{- if $live -}}
{{- if gt $live $replicas -}}
{{- fail (printf "node.replicas is %d, but %d nodes run: this would remove %s-%d to %s-%d; %s. %s" $replicas $live $name $replicas $name (sub $live 1) $lost $how) -}}
{{- end -}}
{{- else if lookup "v1" "PersistentVolumeClaim" .Release.Namespace (printf "data-%s-%d" $name $replicas) -}}
{{- fail (printf "node.replicas is %d, but there is the volume data-%s-%d of a stopped or earlier installation, which had more nodes; %s. %s, or delete the old PersistentVolumeClaims for a new cluster" $replicas $name $replicas $lost $how) -}}
{{- end -}}
{{- end -}}
{{- $shards := include "entail.liveShards" . -}}
{{- if and $shards (ne (int $shards) (int .Values.cluster.shards)) -}}
{{- fail (printf "cluster.shards is %d, but this cluster was created with %d shards, and their number cannot be changed: set cluster.shards=%d. For another number create a new cluster and load the facts again" (int .Values.cluster.shards) (int $shards) (int $shards)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
