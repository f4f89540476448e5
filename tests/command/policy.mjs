// SPDX-License-Identifier: MIT OR Apache-2.0
// What "kubernetes" prints for a fleet, as an API server takes it: policy.mjs POLICY COMPONENT
//
// Both, and what becomes of pods, are looked at by the models of Kubernetes' client, which are made
// of its published schema. The expressions are evaluated for a handful of pods, and the patches
// applied to them.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// Of the folder that NODE_PATH names, which import takes no notice of.
const require = createRequire(path.join(process.env.NODE_PATH, "here.js"));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const cel = await load("@bufbuild/cel");
const { load: loadYaml, loadAll: loadAllYaml } = await load("js-yaml");
// The models alone: what speaks to a server takes the latest node.
const models = path.join(process.env.NODE_PATH, "@kubernetes/client-node/dist/gen/models");
const client = await import(pathToFileURL(path.join(models, "all.js")));

// ---- the schema

/// The fields that a model must have.
function required(type) {
  const text = fs.readFileSync(path.join(models, `${type}.d.ts`), "utf8");
  return [...text.matchAll(/^ {4}'(\w+)': /gm)].map((match) => match[1]);
}

function validate(value, type, where) {
  const list = /^Array<(.*)>$/.exec(type);
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type);
  if (list) {
    assert(Array.isArray(value), `${where} is a list`);
    value.forEach((item, i) => validate(item, list[1], `${where}[${i}]`));
  } else if (map) {
    Object.entries(value).forEach(([key, item]) => validate(item, map[1], `${where}.${key}`));
  } else if (["string", "number", "boolean"].includes(type)) {
    assert.equal(typeof value, type, where);
  } else if (fs.existsSync(path.join(models, `${type}.js`))) {
    validateModel(value, type, where);
  } else {
    assert(["any", "IntOrString", "Date", "V1MicroTime"].includes(type), `${where}: ${type}`);
  }
}

function validateModel(value, type, where) {
  assert.equal(typeof value, "object", `${where} is an object`);
  const known = new Map(client[type].getAttributeTypeMap().map((field) => [field.baseName, field.type]));
  for (const [name, item] of Object.entries(value)) {
    assert(known.has(name), `${where}: ${type} has no ${name}`);
    validate(item, known.get(name), `${where}.${name}`);
  }
  for (const name of required(type)) {
    assert(name in value, `${where}: ${type} needs ${name}`);
  }
}

// ---- expressions

/// Messages as maps that know their type: the evaluator has none.
function plain(expression) {
  return expression
    .replace(/\b(JSONPatch|Object(?:\.\w+)+)\{/g, '{"type of this": "$1", ')
    .replace(/([{,]\s*)(\w+):(?=\s)/g, '$1"$2":');
}

function evaluate(expression, scope) {
  const result = cel.run(plain(expression), scope);
  assert(!cel.isCelError(result), `${expression}: ${result}`);
  return result;
}

/// As JSON has it.
function json(value) {
  if (cel.isCelList(value)) {
    return [...value].map(json);
  }
  return cel.isCelMap(value)
    ? Object.fromEntries([...value.entries()].map(([name, field]) => [name, json(field)]))
    : value;
}

/// Kubernetes wants each type to be named as its field is.
function untyped(value, type) {
  if (Array.isArray(value)) {
    return value.map((item) => untyped(item, type));
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  const { "type of this": is, ...fields } = value;
  assert.equal(is, type);
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, untyped(field, `${type}.${name}`)]),
  );
}

/// RFC 6902, as much of it as is used.
function apply(pod, { op, path: pointer, value }) {
  const names = pointer.split("/").slice(1);
  const last = names.pop();
  const parent = names.reduce((at, name) => {
    assert(at[name] !== undefined, `${pointer}: there is no ${name}`);
    return at[name];
  }, pod);
  if (op === "replace") {
    assert(parent[last] !== undefined, `${pointer} is there to be replaced`);
    parent[last] = value;
  } else if (Array.isArray(parent)) {
    const index = last === "-" ? parent.length : Number(last);
    assert(index <= parent.length, `${pointer} is in the list`);
    parent.splice(index, 0, value);
  } else {
    parent[last] = value;
  }
}

/// What becomes of a pod; null: the policy is not for it.
function admit(policy, pod) {
  const scope = { object: structuredClone(pod), variables: {} };
  if (!policy.spec.matchConditions.every(({ expression }) => evaluate(expression, scope) === true)) {
    return null;
  }
  for (const { name, expression } of policy.spec.variables) {
    scope.variables[name] = evaluate(expression, scope);
  }
  const admitted = structuredClone(pod);
  for (const { patchType, jsonPatch } of policy.spec.mutations) {
    assert.equal(patchType, "JSONPatch");
    for (const patch of json(evaluate(jsonPatch.expression, scope))) {
      const { "type of this": is, op, path: pointer, value } = patch;
      assert.equal(is, "JSONPatch");
      const type = `Object${pointer.replace(/\/(\d+|-)/g, "").replaceAll("/", ".")}`;
      apply(admitted, { op, path: pointer, value: untyped(value, type) });
    }
  }
  validate(admitted, "V1Pod", "pod");
  return admitted;
}

// ---- pods

const LIBRARY = "/duende-mlock/libduende_mlock_preload.so";
const podOf = (spec, annotations = { "duende-mlock/lock": "true" }) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "pod", ...(annotations && { annotations }) },
  spec,
});
const bare = { containers: [{ name: "daemon", image: "daemon" }] };
const full = {
  volumes: [{ name: "data", emptyDir: {} }],
  initContainers: [{ name: "first", image: "first" }],
  containers: [
    {
      name: "daemon",
      image: "daemon",
      env: [
        { name: "A", value: "b" },
        { name: "LD_PRELOAD", value: "/lib/other.so" },
        { name: "DUENDE_MLOCK_REQUIRED", value: "0" },
      ],
      volumeMounts: [{ name: "data", mountPath: "/data" }],
    },
    { name: "helper", image: "helper" },
    { name: "told", image: "told", env: [{ name: "LD_PRELOAD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }] },
  ],
};

function checkBare(policy) {
  const { spec } = admit(policy, podOf(bare));
  assert.deepEqual(spec, {
    volumes: [{ name: "duende-mlock", emptyDir: { sizeLimit: "4Mi" } }],
    initContainers: [
      {
        name: "duende-mlock",
        image: "duende-mlock:1",
        command: ["/usr/local/bin/duende-mlock", "install", "/duende-mlock"],
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
        volumeMounts: [{ name: "duende-mlock", mountPath: "/duende-mlock" }],
      },
    ],
    containers: [
      {
        name: "daemon",
        image: "daemon",
        volumeMounts: [{ name: "duende-mlock", mountPath: "/duende-mlock", readOnly: true }],
        env: [
          { name: "LD_PRELOAD", value: LIBRARY },
          { name: "DUENDE_MLOCK_REQUIRED", value: "1" },
          { name: "DUENDE_MLOCK_ONLY", value: 'a"b\\c' },
        ],
      },
    ],
  });
}

function checkFull(policy) {
  const { spec } = admit(policy, podOf(full));
  const [daemon, helper, told] = spec.containers;
  assert.deepEqual(spec.volumes.map((volume) => volume.name), ["data", "duende-mlock"]);
  assert.deepEqual(spec.initContainers.map((container) => container.name), ["duende-mlock", "first"]);
  assert.deepEqual(spec.initContainers[1], full.initContainers[0]);
  assert.deepEqual(daemon.env.slice(0, 3), [
    { name: "A", value: "b" },
    { name: "LD_PRELOAD", value: `${LIBRARY}:/lib/other.so` },
    { name: "DUENDE_MLOCK_REQUIRED", value: "0" },
  ]);
  assert.equal(daemon.env.length, 4);
  assert.deepEqual(daemon.volumeMounts.map((mount) => mount.mountPath), ["/data", "/duende-mlock"]);
  assert.equal(helper.env[0].value, LIBRARY);
  assert.deepEqual(told.env[0], full.containers[2].env[0]);
}

function checkAgain(policy) {
  for (const spec of [bare, full]) {
    const once = admit(policy, podOf(spec));
    assert.deepEqual(admit(policy, once), once, "once more changes nothing");
    // What another policy has added since gets it, and nothing else changes.
    const joined = structuredClone(once);
    joined.spec.containers.push({ name: "joined", image: "joined" });
    const both = admit(policy, joined);
    assert.equal(both.spec.containers.at(-1).env[0].value, LIBRARY);
    both.spec.containers.pop();
    assert.deepEqual(both, once);
  }
}

function checkOthers(policy) {
  for (const annotations of [null, {}, { other: "true" }, { "duende-mlock/lock": "false" }]) {
    assert.equal(admit(policy, podOf(bare, annotations)), null, JSON.stringify(annotations));
  }
}

const [policyFile, componentFile] = process.argv.slice(2);
const [policy, binding] = loadAllYaml(fs.readFileSync(policyFile, "utf8"));
const asPrinted = [policy, binding].map((object) => JSON.parse(JSON.stringify(object)));
asPrinted.forEach((object) => {
  assert.equal(object.apiVersion, "admissionregistration.k8s.io/v1");
  validate(object, `V1${object.kind}`, object.kind);
});
assert.deepEqual(asPrinted.map((object) => object.kind), ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]);
assert.equal(asPrinted[1].spec.policyName, asPrinted[0].metadata.name);
assert(["Never", "IfNeeded"].includes(asPrinted[0].spec.reinvocationPolicy));
for (const check of [checkBare, checkFull, checkAgain, checkOthers]) {
  check(asPrinted[0]);
}

// The patch of a component is a workload in part: what it has is as the schema has it.
const component = loadYaml(fs.readFileSync(componentFile, "utf8"));
for (const { patch } of component.patches) {
  const { spec } = JSON.parse(JSON.stringify(loadYaml(patch)));
  validate(spec.template.spec, "V1PodSpec", "patch");
}
console.log("policy, binding, component and pods are as the schema has them");
