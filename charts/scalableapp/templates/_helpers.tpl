{{- define "scalableapp.labels" -}}
app.kubernetes.io/name: scalableapp-operator
{{- end }}

{{- define "scalableapp.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else if and (regexMatch "^[^/]*[.:][^/]*/" .Values.image.repository) (not .Values.image.tag) -}}
{{ fail (printf "image.repository %s names a registry; set image.digest to the sha256:... that it shows after the push, or image.tag to run whatever that tag points to" .Values.image.repository) }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- /* Whether the connection to Prometheus is stated in a file: "Secret", "ConfigMap" or nothing. */ -}}
{{- define "scalableapp.connection" -}}
{{- with .Values.prometheus -}}
{{- $stated := or .bearerTokenFromServiceAccount .headers .caBundle .matchers -}}
{{- if and .existingSecret $stated -}}
{{ fail "prometheus.existingSecret states the whole connection; move bearerTokenFromServiceAccount, headers, caBundle and matchers into its prometheus.yaml" }}
{{- else if .existingSecret -}}
Secret
{{- else if $stated -}}
ConfigMap
{{- end }}
{{- end }}
{{- end }}

{{- /* The roleRef and subjects of a binding: dict "kind", "name", "namespace". */ -}}
{{- define "scalableapp.binding" -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: scalableapp-operator
    namespace: {{ .namespace }}
{{- end }}

{{- define "scalableapp.secrets" -}}
{{- if .Values.rolloutOnSecrets }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [list]
{{- end }}
{{- end }}
