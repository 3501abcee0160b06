{{- define "coffre.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "coffre.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "coffre.labels" -}}
{{ include "coffre.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "coffre.account" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "coffre.name" .) }}{{ else if .Values.serviceAccount.reviewsTokens }}{{ required "serviceAccount.name names an account of the server alone: every pod of the namespace could be `default`, and have tokens reviewed" .Values.serviceAccount.name }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "coffre.image" -}}
{{- $repository := required "image.repository names the image that you built" .Values.image.repository -}}
{{- if .Values.image.digest }}{{ printf "%s@%s" $repository .Values.image.digest }}{{ else }}{{ printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) }}{{ end }}
{{- end }}

{{- define "coffre.config" -}}
disable_mlock = true

{{ if eq .Values.storage.kind "sqlite" -}}
storage "sqlite" {
  path = "/data/coffre.db"
}
{{- else -}}
storage "postgresql" {
  connection_url = {{ required "storage.postgresql.connectionUrl says where the database is" .Values.storage.postgresql.connectionUrl | toJson }}
  password_file  = "/etc/coffre-database/password"
  tls_ca_file    = "/etc/coffre-database/ca.crt"
}
{{- end }}

listener "tcp" {
  address = {{ .Values.address | default (ternary "127.0.0.1:8200" "0.0.0.0:8200" .Values.tls.disable) | toJson }}
{{- if .Values.tls.disable }}
  tls_disable = true
{{- else }}
  tls_cert_file = "/etc/coffre-tls/tls.crt"
  tls_key_file  = "/etc/coffre-tls/tls.key"
{{- end }}
}

{{ .Values.config }}
{{- end }}

{{- define "coffre.pod" -}}
metadata:
  labels:
    {{- include "coffre.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    checksum/config: {{ include "coffre.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "coffre.account" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.reviewsTokens }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- with .Values.initContainers }}
  initContainers: {{ toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: coffre
      image: {{ include "coffre.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      ports:
        - name: api
          containerPort: 8200
      {{- with .Values.env }}
      env: {{ toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      resources: {{ toYaml .Values.resources | nindent 8 }}
      # A sealed or new vault lives, and is not to be started anew; a database that is brought to a newer schema takes its time.
      startupProbe:
        exec:
          command: [vaultctl, server, -check-health]
        timeoutSeconds: 10
        periodSeconds: 5
        failureThreshold: 180
      livenessProbe:
        exec:
          command: [vaultctl, server, -check-health]
        timeoutSeconds: 10
        periodSeconds: 30
        failureThreshold: 4
      # 200 unsealed; 429 stands aside, 501 new, 503 sealed: others are asked instead.
      readinessProbe:
        {{- if .Values.tls.disable }}
        exec:
          command: [vaultctl, status, -address=http://127.0.0.1:8200]
        {{- else }}
        httpGet:
          path: /v1/sys/health
          port: api
          scheme: HTTPS
        {{- end }}
        timeoutSeconds: 5
        periodSeconds: 5
        failureThreshold: 2
      volumeMounts:
        - name: data
          mountPath: /data
        - name: temporary
          mountPath: /tmp
        - name: config
          mountPath: /etc/coffre
          readOnly: true
        {{- if not .Values.tls.disable }}
        - name: tls
          mountPath: /etc/coffre-tls
          readOnly: true
        {{- end }}
        {{- if ne .Values.storage.kind "sqlite" }}
        - name: database
          mountPath: /etc/coffre-database
          readOnly: true
        {{- end }}
        {{- with .Values.volumeMounts }}{{ toYaml . | nindent 8 }}{{ end }}
    {{- with .Values.containers }}{{ toYaml . | nindent 4 }}{{ end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "coffre.name" . }}
    - name: temporary
      emptyDir:
        medium: Memory
        sizeLimit: 64Mi
    {{- if not .Values.tls.disable }}
    - name: tls
      secret:
        secretName: {{ .Values.tls.secretName }}
        defaultMode: 0440
    {{- end }}
    {{- if ne .Values.storage.kind "sqlite" }}
    - name: data
      emptyDir: {}
    - name: database
      secret:
        secretName: {{ required "storage.postgresql.secretName names the secret with password and ca.crt" .Values.storage.postgresql.secretName }}
        defaultMode: 0440
    {{- end }}
    {{- with .Values.volumes }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  affinity:
    {{- if .Values.affinity }}{{ toYaml .Values.affinity | nindent 4 }}{{ else }}
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels: {{ include "coffre.selector" . | nindent 16 }}
    {{- end }}
{{- end }}
