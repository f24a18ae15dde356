{{- /* What the schema cannot say, or could not say clearly. */ -}}
{{- define "daybook.checks" -}}
{{- if not .Values.keys.existingSecret -}}
{{- fail "keys.existingSecret is required: the name of a Secret with DAYBOOK_WRITE_KEYS and DAYBOOK_READ_KEYS" -}}
{{- end -}}
{{- if and (eq .Values.mode "google") (not .Values.google.projectId) -}}
{{- fail "google.projectId is required when mode is google" -}}
{{- end -}}
{{- if .Values.google.storeAndForward -}}
{{- fail "google.storeAndForward is not available in this chart: a pod that is scaled away would keep events that are acknowledged and not yet published on a disk that nobody reads. Run store and forward on a machine with a disk of its own, or use mode: google without it" -}}
{{- end -}}
{{- if gt (int .Values.google.autoscaling.minReplicas) (int .Values.google.autoscaling.maxReplicas) -}}
{{- fail "google.autoscaling.minReplicas is greater than maxReplicas" -}}
{{- end -}}
{{- if and .Values.gateway.enabled .Values.ingress.enabled -}}
{{- fail "gateway.enabled and ingress.enabled exclude each other" -}}
{{- end -}}
{{- if .Values.gateway.enabled -}}
{{- if not .Values.gateway.hostnames -}}
{{- fail "gateway.hostnames is required when gateway.enabled" -}}
{{- end -}}
{{- if eq (empty .Values.gateway.parentRefs) (not .Values.gateway.create) -}}
{{- fail "gateway: give parentRefs of a Gateway that exists, or create: true, not both" -}}
{{- end -}}
{{- if and .Values.gateway.create (eq (empty .Values.gateway.tls.certificateMap) (empty .Values.gateway.tls.secretName)) -}}
{{- fail "gateway.create needs exactly one of gateway.tls.certificateMap and gateway.tls.secretName: keys must not travel in the clear" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not (and .Values.ingress.host .Values.ingress.tlsSecretName)) -}}
{{- fail "ingress.enabled needs ingress.host and ingress.tlsSecretName: keys must not travel in the clear" -}}
{{- end -}}
{{- if and (or .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitoring.enabled) (not (and .Values.metrics.keySecret.name .Values.metrics.keySecret.key)) -}}
{{- fail "metrics: /metrics asks for a read key; set metrics.keySecret.name and metrics.keySecret.key" -}}
{{- end -}}
{{- $resources := ternary .Values.embedded.resources .Values.google.resources (eq .Values.mode "embedded") -}}
{{- if ne (toString $resources.requests.memory) (toString $resources.limits.memory) -}}
{{- fail (printf "%s.resources: requests.memory and limits.memory must be equal, so that no pod is killed for its neighbours' memory" .Values.mode) -}}
{{- end -}}
{{- end -}}
