{{- /* The name that all objects' names begin with. */ -}}
{{- define "yagura.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "yagura.operator" -}}{{ include "yagura.fullname" . }}-operator{{- end -}}
{{- define "yagura.agent" -}}{{ include "yagura.fullname" . }}-agent{{- end -}}

{{- /* Labels that select an object's pods; they never change. */ -}}
{{- define "yagura.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "yagura.labels" -}}
{{ include "yagura.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "yagura.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* What Kubernetes calls the operator's Service in the environment of pods beside it. */ -}}
{{- define "yagura.operatorEnvironment" -}}
{{ include "yagura.operator" . | upper | replace "-" "_" }}
{{- end -}}

{{- /* Labels that select the operator's pods, as one word. */ -}}
{{- define "yagura.operatorPods" -}}
app.kubernetes.io/name={{ .Chart.Name }},app.kubernetes.io/instance={{ .Release.Name }},app.kubernetes.io/component=operator
{{- end -}}

{{- /* Not empty when the chart makes the volume's claim. */ -}}
{{- define "yagura.ownClaim" -}}
{{- if and (eq .Values.operator.store.type "pvc") (not .Values.operator.store.pvc.existingClaim) }}yes{{ end -}}
{{- end -}}

{{- /* The packs of shipped content, as the operator takes them. */ -}}
{{- define "yagura.contentPacks" -}}
{{- $packs := list -}}
{{- range $name, $wanted := .Values.content.packs }}{{ if $wanted }}{{ $packs = append $packs $name }}{{ end }}{{ end -}}
{{- join "," $packs | default "none" -}}
{{- end -}}

{{- /* The audience of the agents' tokens. */ -}}
{{- define "yagura.audience" -}}{{ include "yagura.operator" . }}{{- end -}}
