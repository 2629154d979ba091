{{/*
The pod of one component. Takes a dict: root (the chart's context), component ("door" or "worker"), role, of (its values).
*/}}
{{- define "plimsoll.pod" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $name := include "plimsoll.fullname" $root -}}
{{- $entries := include "plimsoll.entries" $root | fromJsonArray -}}
metadata:
  labels:
    {{- include "plimsoll.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Changed settings replace the pods.
    checksum/settings: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "plimsoll.serviceAccount" $root }}
  # The servers never ask Kubernetes for anything.
  automountServiceAccountToken: false
  # Otherwise every Service of the namespace adds variables, and one called plimsoll adds PLIMSOLL_PORT.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add (ceil (divf (add $values.shutdown.drainMs $values.shutdown.graceMs) 1000)) 10 }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
    runAsGroup: 1000
    fsGroup: 1000
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "plimsoll.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $.component }}
    {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: plimsoll
      image: {{ $values.image.repository }}{{ if $values.image.digest }}@{{ $values.image.digest }}{{ else }}:{{ default $root.Chart.AppVersion $values.image.tag }}{{ end }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      ports:
        - name: http
          containerPort: 8000
      envFrom:
        - configMapRef:
            name: {{ $name }}
      env:
        - name: PLIMSOLL_SERVER_ROLE
          value: {{ .role }}
        - name: PLIMSOLL_SERVER_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        {{- range $key, $value := .of.settings }}
        - name: {{ include "plimsoll.variable" $key }}
          value: {{ include "plimsoll.value" $value | quote }}
        {{- end }}
        {{- range $entries }}
        {{- if eq . "keys" }}
        - name: PLIMSOLL_KEYS_FILE
        {{- else }}
        - name: {{ include "plimsoll.variable" (replace "-" "." .) }}_FILE
        {{- end }}
          value: /run/plimsoll/{{ . }}
        {{- end }}
        {{- with $values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      resources:
        {{- toYaml .of.resources | nindent 8 }}
      # It listens once its workers run and the models of a hub are there.
      startupProbe:
        httpGet: { path: /health/live, port: http }
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: {{ ceil (divf $values.startupSeconds 2) }}
      # Fails while the server drains, and until a worker is ready. A server without its Redis or PostgreSQL stays ready.
      readinessProbe:
        httpGet: { path: /health/ready, port: http }
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      # Only what stands still for a minute is ended: a slow disk may hold the server up for a while.
      livenessProbe:
        httpGet: { path: /health/live, port: http }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      volumeMounts:
        - name: data
          mountPath: /data
        {{- if $values.modelsClaim }}
        - name: models
          mountPath: /models
          readOnly: true
        {{- end }}
        {{- if $entries }}
        - name: secret
          mountPath: /run/plimsoll
          readOnly: true
        {{- end }}
  volumes:
    - name: data
      {{- if eq $values.data.kind "emptyDir" }}
      emptyDir:
        sizeLimit: {{ $values.data.size }}
      {{- else if eq $values.data.kind "ephemeral" }}
      ephemeral:
        volumeClaimTemplate:
          metadata:
            labels:
              {{- include "plimsoll.selector" $root | nindent 14 }}
          spec:
            accessModes: [ReadWriteOnce]
            {{- with $values.data.storageClass }}
            storageClassName: {{ . }}
            {{- end }}
            resources:
              requests:
                storage: {{ $values.data.size }}
      {{- else }}
      persistentVolumeClaim:
        claimName: {{ $values.data.claim }}
      {{- end }}
    {{- if $values.modelsClaim }}
    - name: models
      persistentVolumeClaim:
        claimName: {{ $values.modelsClaim }}
        readOnly: true
    {{- end }}
    {{- if $entries }}
    - name: secret
      secret:
        secretName: {{ include "plimsoll.secret" $root }}
        defaultMode: 0440
        # An entry that the Secret lacks keeps the pod from starting, with an event that names it.
        items:
          {{- range $entries }}
          - { key: {{ . }}, path: {{ . }} }
          {{- end }}
    {{- end }}
{{- end -}}
