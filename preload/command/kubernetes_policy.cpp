// SPDX-License-Identifier: MIT OR Apache-2.0
// kubernetes for a fleet: an admission policy for pods with an annotation, and a Kustomize
// component.
#include <cstdio>

#include "image.hpp"
#include "library.hpp"

namespace duende::mlock::command {

namespace {

// What a patch of JSON has to name by its number: containers, and variables of one.
constexpr unsigned kMost = 128;

// {0} the indices
constexpr const char kPolicyTop[] =
    R"(# Gives pods with the annotation duende-mlock/lock: "true" the library: a volume, an init container that
# fills it, and the variables in each container. Nothing that a pod has already is changed or added
# twice, but for an LD_PRELOAD, before which the library is put.
#
# Kubernetes 1.36. Before that, 1.34 has it as v1beta1, in the same words, where kube-apiserver runs with
# --feature-gates=MutatingAdmissionPolicy=true
# --runtime-config=admissionregistration.k8s.io/v1beta1=true
#
# What a pod has to bring itself, as no annotation should grant it: runAsUser: 0 and the capability
# IPC_LOCK, or a container runtime with LimitMEMLOCK=infinity; else the library says what it lacks.
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata:
  name: duende-mlock
spec:
  matchConstraints:
    resourceRules:
      - apiGroups: [""]
        apiVersions: [v1]
        operations: [CREATE]
        resources: [pods]
  matchConditions:
    - name: asked-for
      expression: >-
        has(object.metadata.annotations) && "duende-mlock/lock" in object.metadata.annotations &&
        object.metadata.annotations["duende-mlock/lock"] == "true"
  # A pod that asks for it does not start without.
  failurePolicy: Fail
  # Others may add containers after this: those get theirs in another round.
  reinvocationPolicy: IfNeeded
  variables:
    # An expression has no other way to count.
    - name: indices
      expression: >-
        [{0}]
    - name: containers
      expression: variables.indices.filter(i, i < size(object.spec.containers))
  mutations:
    # Patches of JSON, as an apply configuration may not set a command, which is atomic.
    - patchType: JSONPatch
      jsonPatch:
        expression: >-
          (has(object.spec.volumes) ? [] :
            [JSONPatch{{op: "add", path: "/spec/volumes", value: []}}]) +
          (has(object.spec.volumes) && object.spec.volumes.exists(v, v.name == "duende-mlock") ? [] :
            [JSONPatch{{op: "add", path: "/spec/volumes/-", value: Object.spec.volumes{{
              name: "duende-mlock", emptyDir: Object.spec.volumes.emptyDir{{sizeLimit: "4Mi"}}}}}}]) +
)";

// {0} the library's image, {1} options of install
constexpr const char kPolicyInit[] =
    R"(          (has(object.spec.initContainers) ? [] :
            [JSONPatch{{op: "add", path: "/spec/initContainers", value: []}}]) +
          (has(object.spec.initContainers) &&
            object.spec.initContainers.exists(c, c.name == "duende-mlock") ? [] :
            [JSONPatch{{op: "add", path: "/spec/initContainers/0", value: Object.spec.initContainers{{
              name: "duende-mlock", image: {0},
              command: ["/usr/local/bin/duende-mlock", "install"{1}, "/duende-mlock"],
              securityContext: Object.spec.initContainers.securityContext{{
                allowPrivilegeEscalation: false,
                capabilities: Object.spec.initContainers.securityContext.capabilities{{
                  drop: ["ALL"]}}}},
              volumeMounts: [Object.spec.initContainers.volumeMounts{{
                name: "duende-mlock", mountPath: "/duende-mlock"}}]}}}}]) +
)";

// {0} the library's path, in quotes
constexpr const char kPolicyContainers[] =
    R"(          variables.containers.filter(i, !has(object.spec.containers[i].volumeMounts)).map(i,
            JSONPatch{{op: "add", path: "/spec/containers/" + string(i) + "/volumeMounts", value: []}}) +
          variables.containers.filter(i, !has(object.spec.containers[i].volumeMounts) ||
            !object.spec.containers[i].volumeMounts.exists(m, m.name == "duende-mlock")).map(i,
            JSONPatch{{op: "add", path: "/spec/containers/" + string(i) + "/volumeMounts/-",
              value: Object.spec.containers.volumeMounts{{
                name: "duende-mlock", mountPath: "/duende-mlock", readOnly: true}}}}) +
          variables.containers.filter(i, !has(object.spec.containers[i].env)).map(i,
            JSONPatch{{op: "add", path: "/spec/containers/" + string(i) + "/env", value: []}}) +
          variables.containers.filter(i, has(object.spec.containers[i].env) &&
            object.spec.containers[i].env.exists(e, e.name == "LD_PRELOAD" && has(e.value) &&
              !e.value.contains({0}))).map(i,
            JSONPatch{{op: "replace", path: "/spec/containers/" + string(i) + "/env/" +
              string(variables.indices.filter(j, j < size(object.spec.containers[i].env) &&
                object.spec.containers[i].env[j].name == "LD_PRELOAD")[0]) + "/value",
              value: {0} + ":" +
                object.spec.containers[i].env.filter(e, e.name == "LD_PRELOAD")[0].value}}))";

// {0} the variable, {1} its value, in quotes
constexpr const char kPolicyVariable[] =
    R"( +
          variables.containers.filter(i, !has(object.spec.containers[i].env) ||
            !object.spec.containers[i].env.exists(e, e.name == "{0}")).map(i,
            JSONPatch{{op: "add", path: "/spec/containers/" + string(i) + "/env/-",
              value: Object.spec.containers.env{{name: "{0}", value: {1}}}}}))";

constexpr const char kBinding[] = R"(
---
# For all namespaces; matchResources: {namespaceSelector: ...} beside policyName would choose some.
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata:
  name: duende-mlock
spec:
  policyName: duende-mlock
)";

std::string indices() {
  Words all;
  for (unsigned i = 0; i < kMost; ++i) {
    all.push_back(std::to_string(i));
  }
  return join(all, ", ");
}

// {0} the workload, {1} its container, {2} the library's image, {3} options of install, {4} the
// library
constexpr const char kComponentTop[] =
    R"(# In a folder of its own, named under components: of a kustomization.yaml. It has the container {1}
# of the Deployment, DaemonSet or StatefulSet {0} run locked; --name and --container choose.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - target:
      kind: Deployment|DaemonSet|StatefulSet
      name: {0}
    patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata:
        name: any
      spec:
        template:
          spec:
            initContainers:
              - name: duende-mlock
                image: {2}
                command: [/usr/local/bin/duende-mlock, install{3}, /duende-mlock]
                volumeMounts:
                  - name: duende-mlock
                    mountPath: /duende-mlock
            containers:
              - name: {1}
                env:
                  - name: LD_PRELOAD
                    value: {4}
)";

// {0} capabilities
constexpr const char kComponentBottom[] =
    R"(                # Kubernetes has no memlock limit to set; the capability takes its place while the
                # daemon is root. It takes the place of those that the container adds itself.
                securityContext:
                  runAsUser: 0
                  capabilities:
                    add: [{0}]
                volumeMounts:
                  - name: duende-mlock
                    mountPath: /duende-mlock
                    readOnly: true
            volumes:
              - name: duende-mlock
                emptyDir:
                  sizeLimit: 4Mi
)";

}  // namespace

std::string kubernetes_policy(const KubernetesOptions& options) {
  const std::string& library = options.settings.library;
  const std::string path = quote(preload_in_pod(options.settings));
  std::string text = format(kPolicyTop, indices());
  text += format(kPolicyInit, quote(options.library_image),
                 library.empty() ? "" : ", \"--library\", " + quote(library));
  text += format(kPolicyContainers, path);
  text += format(kPolicyVariable, "LD_PRELOAD", path);
  for (const Setting& setting : options.settings.all) {
    text += format(kPolicyVariable, setting.name, quote(setting.value));
  }
  return text + kBinding;
}

std::string kubernetes_component(const KubernetesOptions& options) {
  std::string text = format(kComponentTop, options.name, options.container, options.library_image,
                            options_of_install(options.settings), preload_in_pod(options.settings));
  text += variables_of_pod(options.settings, "                  ");
  return text + format(kComponentBottom, join(options.settings.capabilities(), ", "));
}

}  // namespace duende::mlock::command
