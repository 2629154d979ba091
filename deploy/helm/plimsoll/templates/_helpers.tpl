{{- define "plimsoll.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "plimsoll.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "plimsoll.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "plimsoll.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "plimsoll.selector" -}}
app.kubernetes.io/name: {{ include "plimsoll.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "plimsoll.labels" -}}
{{ include "plimsoll.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "plimsoll.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "plimsoll.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "plimsoll.secret" -}}
{{- default (include "plimsoll.fullname" .) .Values.secret.existing -}}
{{- end -}}

{{/* Entries of the Secret that the servers use, as a JSON list. */}}
{{- define "plimsoll.entries" -}}
{{- $entries := .Values.secret.entries -}}
{{- if not .Values.secret.existing -}}
{{- $entries = concat $entries (keys .Values.secret.values) -}}
{{- end -}}
{{- $entries | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* session.max_users → PLIMSOLL_SESSION_MAX_USERS */}}
{{- define "plimsoll.variable" -}}
PLIMSOLL_{{ . | upper | replace "." "_" }}
{{- end -}}

{{/* A setting as text. Helm reads whole numbers of YAML as floats, which it prints from a million on as 1e+06. */}}
{{- define "plimsoll.value" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- int64 . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* What would start and then not work is refused here, with the remedy. */}}
{{- define "plimsoll.check" -}}
{{- $entries := include "plimsoll.entries" . | fromJsonArray -}}
{{- $open := eq (get .Values.settings "http.open") "anyone-may-use-and-manage-this-server" -}}
{{- if not (or (has "keys" $entries) (has "database-url" $entries) $open) -}}
{{- fail "Pods are reached from beyond loopback, and there is no key: add \"keys\" to secret.entries, or keep keys in PostgreSQL (database-url), or set settings.http.open" -}}
{{- end -}}
{{- if not .Values.secret.existing -}}
{{- range .Values.secret.entries -}}
{{- if and (ne . "keys") (not (hasKey $.Values.secret.values .)) -}}
{{- fail (printf "secret.entries names %q: give it in secret.values, or name the Secret that has it in secret.existing" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $several := or (gt (int .Values.doors.replicas) 1) .Values.doors.autoscaling.enabled .Values.workers.enabled -}}
{{- if $several -}}
{{- range list "database-url" "redis-url" "cache-secret" -}}
{{- if not (has . $entries) -}}
{{- fail (printf "Several servers share records, sessions, results and jobs through PostgreSQL and Redis: add %q to secret.entries, or run one server" .) -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.data.kind "claim" -}}
{{- fail "data.kind=claim is for one server: each server has a data folder of its own (emptyDir or ephemeral)" -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.data.kind "claim") (not .Values.data.claim) -}}
{{- fail "data.kind=claim needs the claim's name in data.claim" -}}
{{- end -}}
{{- range $settings := list .Values.settings .Values.doors.settings .Values.workers.settings -}}
{{- range $key, $_ := $settings -}}
{{- if has $key (list "server.role" "server.name" "data" "http.host" "http.port" "http.socket" "keys.file" "hub.models" "shutdown.drain_ms" "shutdown.grace_ms") -}}
{{- fail (printf "The chart sets %s itself: use the value for it (docs/deploy.md)" $key) -}}
{{- end -}}
{{- if has $key (list "database.url" "redis.url" "jobs.url" "cache.secret" "prove.key") -}}
{{- fail (printf "%s is a secret: it belongs into the Secret (secret.entries)" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
