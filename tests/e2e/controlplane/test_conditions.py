"""What the compiler says of objects, where people read it: the real kubectl, a control plane that serves gateways."""

import pytest
from tests.e2e.controlplane.plane import Whole

AGENTS = """
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: gateway-model-config, namespace: ai-platform}
spec:
  provider: openai
  model: gpt-4
  apiKeySecretRef: {name: gateway-api-key, key: api-key}
  baseUrl: http://agentgateway.ai-platform.svc:8080/v1
---
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: code-assistant, namespace: dev-team}
spec:
  type: Declarative
  declarative:
    modelConfig: gateway-model-config
    systemMessage: You are an expert code reviewer.
    tools: [{type: McpServer, mcpServer: {name: files, kind: RemoteMCPServer, toolNames: [read_file]}}]
"""
GRANT = """
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: agents-from-dev-team, namespace: ai-platform}
spec:
  from: [{group: kagent.dev, kind: Agent, namespace: dev-team}]
  to: [{group: kagent.dev, kind: ModelConfig, name: gateway-model-config}]
"""
SERVER = """
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: files, namespace: dev-team}
spec: {description: Files, url: "http://127.0.0.1:9/mcp"}
"""
BROKEN = """
apiVersion: heddle.dev/v1alpha1
kind: Backend
metadata: {name: vendor}
spec: {provider: {type: scripted, apiKeySecret: missing}}
---
apiVersion: heddle.dev/v1alpha1
kind: Model
metadata: {name: small}
spec: {provider: vendr}
---
apiVersion: heddle.dev/v1alpha1
kind: Model
metadata: {name: large}
spec: {provider: vendor}
"""


class Shell:
    """kubectl on that control plane."""

    def __init__(self, whole: Whole) -> None:
        self.run = whole.kubectl

    def apply(self, text: str) -> None:
        self.run("apply", "-f", "-", stdin=text)

    def wait(self, what: str, condition: str, namespace: str = "default") -> None:
        self.run("wait", f"--for=condition={condition}", what, "-n", namespace, "--timeout=10s")

    def message(self, what: str, kind: str, namespace: str = "default") -> str:
        path = f'jsonpath={{.status.conditions[?(@.type=="{kind}")].message}}'
        return self.run("get", what, "-n", namespace, "-o", path)


@pytest.fixture
def kubectl(whole: Whole) -> Shell:
    return Shell(whole)


def test_another_namespace_s_model_is_granted_and_taken_back(kubectl: Shell):
    kubectl.run("create", "namespace", "ai-platform")
    kubectl.run("create", "namespace", "dev-team")
    kubectl.apply(AGENTS)
    kubectl.wait("agent/code-assistant", "Accepted=false", "dev-team")
    said = kubectl.message("agent/code-assistant", "Accepted", "dev-team")
    assert "kind: ReferenceGrant, metadata: {name: agents-from-dev-team, namespace: ai-platform}" in said
    kubectl.apply(GRANT)
    kubectl.wait("agent/code-assistant", "Accepted", "dev-team")
    assert "no RemoteMCPServer `files`" in kubectl.message("agent/code-assistant", "ResolvedRefs", "dev-team")
    kubectl.apply(SERVER)
    kubectl.wait("agent/code-assistant", "Ready", "dev-team")
    kubectl.run("delete", "referencegrant", "agents-from-dev-team", "-n", "ai-platform")
    kubectl.wait("agent/code-assistant", "Accepted=false", "dev-team")


def test_what_is_wrong_with_one_is_said_of_it_and_the_others_are_served(kubectl: Shell):
    kubectl.apply(BROKEN)
    kubectl.wait("model/large", "Ready")
    kubectl.wait("model/small", "ResolvedRefs=false")
    assert kubectl.message("model/small", "ResolvedRefs") == "there is no provider `vendr` in namespace `default`"
    assert "no Secret `missing`" in kubectl.message("backend/vendor", "ResolvedRefs")
    kubectl.run("create", "secret", "generic", "missing", "--from-literal=api-key=sesame")
    kubectl.wait("backend/vendor", "Ready")
    kubectl.run("patch", "model", "small", "--type=merge", "-p", '{"spec":{"provider":"vendor"}}')
    kubectl.wait("model/small", "Ready")
    assert "sesame" not in kubectl.run("get", "backends,models,policies,gateways", "-A", "-o", "yaml")
