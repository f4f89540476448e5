// SPDX-License-Identifier: MIT OR Apache-2.0
// kubernetes: a manifest, in which an init container lays the library out for the daemon's.
#include <algorithm>
#include <cstdio>

#include "image.hpp"
#include "library.hpp"

namespace duende::mlock::command {

namespace {

void need_name(const std::string& name) {
  if (name.empty() || name.front() == '-' || name.back() == '-' ||
      !consists_of(name, "abcdefghijklmnopqrstuvwxyz0123456789-")) {
    usage_error(format("'{}' is not a name that Kubernetes takes", name));
  }
}

// {0} kind, {1} name, {2} the library's image, {3} the library there, {4} the daemon's image
constexpr const char kTop[] = R"(# What Kubernetes cannot give, and what follows:
# - A memlock limit. The capability IPC_LOCK takes its place while the daemon is root; one that
#   drops root keeps what is locked by then, and its new memory is not (the library says so).
# - Capabilities for other users than root. With another runAsUser, the limit that the container
#   runtime of the node has is all there is (LimitMEMLOCK=infinity in the runtime's unit).
apiVersion: apps/v1
kind: {0}
metadata:
  name: {1}
spec:
  selector:
    matchLabels:
      app: {1}
  template:
    metadata:
      labels:
        app: {1}
    spec:
      initContainers:
        # Nothing but the command and the library has to be in this image:
        #   FROM scratch
        #   COPY duende-mlock libduende_mlock_*.so /usr/local/bin/
        - name: duende-mlock
          image: {2}
          command: [/usr/local/bin/duende-mlock, install{3}, /duende-mlock]
          volumeMounts:
            - name: duende-mlock
              mountPath: /duende-mlock
      containers:
        - name: daemon
          image: {4}
          env:
            - name: LD_PRELOAD
              value: "{5}"
)";

// {0} capabilities
constexpr const char kBottom[] = R"(          securityContext:
            runAsUser: 0
            capabilities:
              # Where the daemon drops root, the probes need SYS_PTRACE here as well: what cannot be
              # seen does not count as locked.
              add: [{0}]
          # Locked memory counts in full. Requests that equal the limits make the pod "Guaranteed",
          # which the OOM killer takes last.
          resources:
            requests: {{cpu: 500m, memory: 256Mi}}
            limits: {{cpu: 500m, memory: 256Mi}}
          # Not started until all processes of the container are locked; not ready while one is not.
          # No livenessProbe: it would restart a daemon that others swap to. The image needs no shell.
          # With shareProcessNamespace, put the daemon's name in the place of the 1.
          startupProbe:
            exec:
              command: &status [/duende-mlock/duende-mlock, status, "1"]
            periodSeconds: 2
            failureThreshold: 30
          readinessProbe:
            exec:
              command: *status
            periodSeconds: 60
            timeoutSeconds: 5
          volumeMounts:
            - name: duende-mlock
              mountPath: /duende-mlock
              readOnly: true
      volumes:
        - name: duende-mlock
          emptyDir:
            sizeLimit: 4Mi
)";

constexpr std::string_view kFuture = "DUENDE_MLOCK_FUTURE";

std::string manifest(const KubernetesOptions& options) {
  std::string text = format(kTop, options.daemonset ? "DaemonSet" : "Deployment", options.name,
                            options.library_image, options_of_install(options.settings),
                            options.image, preload_in_pod(options.settings));
  text += variables_of_pod(options.settings, "            ");
  // Kubernetes has no memlock limit to set: the capability alone lifts the one there is, and then
  // future locks have to be asked for.
  const bool said = std::any_of(options.settings.all.begin(), options.settings.all.end(),
                                [](const Setting& setting) { return setting.name == kFuture; });
  if (!said) {
    text += format("            - name: {}\n              value: \"1\"\n", kFuture);
  }
  return text + format(kBottom, join(options.settings.capabilities(), ", "));
}

}  // namespace

std::string preload_in_pod(const GivenSettings& settings) {
  return preload_in_image(settings, "/duende-mlock",
                          settings.library.empty() ? kLibraryName : base_name(settings.library));
}

std::string options_of_install(const GivenSettings& settings) {
  return settings.library.empty() ? "" : ", --library, " + quote(settings.library);
}

std::string variables_of_pod(const GivenSettings& settings, std::string_view indent) {
  std::string text;
  for (const Setting& setting : settings.all) {
    text += format("{0}- name: {1}\n{0}  value: {2}\n", indent, setting.name, quote(setting.value));
  }
  return text;
}

int kubernetes(const KubernetesOptions& options) {
  need_image_name(options.image);
  need_image_name(options.library_image);
  need_name(options.name);
  need_name(options.container);
  const std::string text = options.policy      ? kubernetes_policy(options)
                           : options.kustomize ? kubernetes_component(options)
                                               : manifest(options);
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace duende::mlock::command
