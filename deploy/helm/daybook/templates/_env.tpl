{{- define "daybook.env" -}}
- name: HOST
  value: 0.0.0.0
- name: PORT
  value: '3000'
- name: DAYBOOK_DATA_DIR
  value: /data
- name: DAYBOOK_WRITE_KEYS
  valueFrom:
    secretKeyRef:
      name: {{ .Values.keys.existingSecret }}
      key: {{ .Values.keys.writeKeys }}
- name: DAYBOOK_READ_KEYS
  valueFrom:
    secretKeyRef:
      name: {{ .Values.keys.existingSecret }}
      key: {{ .Values.keys.readKeys }}
- name: DAYBOOK_TIMEZONE
  value: {{ .Values.timezone | quote }}
- name: DAYBOOK_LOG_LEVEL
  value: {{ .Values.logLevel }}
- name: DAYBOOK_SHUTDOWN_TIMEOUT_MS
  value: {{ .Values.shutdown.timeoutMs | int64 | quote }}
- name: DAYBOOK_HTTP_KEEP_ALIVE_MS
  value: {{ .Values.keepAliveMs | int64 | quote }}
{{- if eq .Values.mode "embedded" }}
- name: DAYBOOK_JOURNAL_BYTES_MAX
  value: {{ .Values.embedded.journalBytesMax | int64 | quote }}
- name: DAYBOOK_DUCKDB_MEMORY_BYTES_MAX
  value: {{ .Values.embedded.duckdbMemoryBytesMax | int64 | quote }}
- name: DAYBOOK_DUCKDB_THREADS
  value: {{ .Values.embedded.duckdbThreads | int64 | quote }}
{{- else }}
- name: DAYBOOK_LOG_FORMAT
  value: google
- name: DAYBOOK_WAREHOUSE
  value: bigquery
- name: DAYBOOK_JOURNAL
  value: 'off'
- name: GOOGLE_CLOUD_PROJECT
  value: {{ .Values.google.projectId | quote }}
- name: BIGQUERY_TABLE_NAME
  value: {{ .Values.google.table | quote }}
- name: PUBSUB_TOPIC
  value: {{ .Values.google.topic | quote }}
- name: DAYBOOK_BIGQUERY_LOCATION
  value: {{ .Values.google.location | quote }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}
