{{- define "odradek.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "odradek.selector" -}}
app.kubernetes.io/name: odradek
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "odradek.labels" -}}
{{ include "odradek.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "odradek.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "odradek.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "odradek.name" .) -}}
{{- end -}}

{{/* The name of pod K inside the cluster. */}}
{{- define "odradek.domain" -}}
{{ include "odradek.name" . }}-nodes.{{ .Release.Namespace }}.svc
{{- end -}}

{{- define "odradek.voters" -}}
{{- $root := . -}}
{{- range $k := until (int (min (int .Values.voters) (int .Values.nodes))) -}}
{{- if $k }},{{ end -}}
{{ add1 $k }}@{{ include "odradek.name" $root }}-{{ $k }}.{{ include "odradek.domain" $root }}:{{ $root.Values.ports.cluster }}
{{- end -}}
{{- end -}}
