"""Quotas count what is there, autoscalers stay within their bounds, however things are interleaved."""

from __future__ import annotations

from hypothesis import given, settings

from controllers.horizontal import CONTROLLER as HORIZONTAL
from controllers.quota import CONTROLLER as QUOTA
from kubeling.api.meta import name_of, rfc3339
from kubeling.api.quantity import ZERO, parse
from kubeling.api.resources import DEPLOYMENTS, HORIZONTAL_POD_AUTOSCALERS, PODS, RESOURCE_QUOTAS
from tests.unit.controllers.interleaving import RULES, Step, Story, living, pick, play, steps
from tests.unit.controllers.world import World


class QuotaStory(Story):
    """Pods come and go; ``count`` is what they use."""

    controllers = (QUOTA,)
    actions = ("create", "create", "create", "finish", "delete", "gone", "resize", "limit")
    writes_a_step = 3

    def begin(self, w: World) -> None:
        spec = {"hard": {"pods": "20", "count/pods": "30", "requests.cpu": "9"}}
        w.create(RESOURCE_QUOTAS, "q", spec)

    async def act(self, w: World, action: str, choice: int) -> None:
        pod = pick(living(w), choice)
        if action == "create":
            self._admit(w, choice)
        elif action == "limit":
            hard = {"pods": str(choice + 1), "requests.cpu": "9", **({"secrets": "1"} if choice % 2 else {})}
            w.api.update(RESOURCE_QUOTAS, "ns", "q", lambda quota: quota["spec"].update(hard=hard))
        elif pod is None:
            return
        elif action == "finish":
            w.set_status(pod, phase="Succeeded")
        elif action == "resize":
            amounts = {"requests": {"cpu": f"{choice}00m"}}
            w.api.update(PODS, "ns", name_of(pod), lambda p: p["spec"]["containers"][0].update(resources=amounts))
        else:
            w.api.delete(PODS, "ns", name_of(pod))
            if action == "gone":
                w.api.finish("ns", name_of(pod))

    def _admit(self, w: World, choice: int) -> None:
        """As the API server does it: the quota is charged before the pod is there."""
        used = (w.get(RESOURCE_QUOTAS, "q").get("status") or {}).get("used")
        if used is None:
            return
        wanted = {"pods": parse(1), "count/pods": parse(1), "requests.cpu": parse(f"{choice}00m")}
        charged = {name: str(parse(value) + wanted.get(name, ZERO)) for name, value in used.items()}
        w.api.update(RESOURCE_QUOTAS, "ns", "q", lambda quota: quota["status"].update(used=charged))
        container = {"name": "c", "resources": {"requests": {"cpu": f"{choice}00m"}}}
        w.create(PODS, f"p{w.api.version}", {"containers": [container]})

    def kubelets(self, w: World) -> None:
        w.finish_deleted()

    def check(self, w: World) -> None:
        hard, status = w.get(RESOURCE_QUOTAS, "q")["spec"]["hard"], w.get(RESOURCE_QUOTAS, "q")["status"]
        running = living(w)
        cpu = sum(parse(p["spec"]["containers"][0]["resources"]["requests"]["cpu"]).milli() for p in running)
        wanted = {"pods": len(running) * 1000, "count/pods": len(w.pods()) * 1000, "requests.cpu": cpu, "secrets": 0}
        assert status["hard"] == hard
        assert {name: parse(value).milli() for name, value in status["used"].items()} == {n: wanted[n] for n in hard}


class HorizontalStory(Story):
    """Loads of all sizes, missing figures, changed bounds, other hands on the scale, failing updates of it."""

    controllers = (HORIZONTAL,)
    actions = ("load", "load", "load", "missing", "bounds", "hand", "wait")
    writes_a_step = 40  # of the status mostly: the conditions follow every look
    turns = (0,)
    longest_wait = 320.0  # beyond the stabilization of scaling down

    def begin(self, w: World) -> None:
        self.usage, self.present = 50, True
        self.bounds = [(1, 10)]
        self.by_hand = {2}
        w.create(DEPLOYMENTS, "web", {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}})
        cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
        spec = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1,
            "maxReplicas": 10,
            "metrics": [{"type": "Resource", "resource": cpu}],
        }
        w.create(HORIZONTAL_POD_AUTOSCALERS, "web", spec)
        self._observe(w)

    async def act(self, w: World, action: str, choice: int) -> None:
        if action == "load":
            self.usage = (0, 10, 40, 52, 60, 100, 300, 1000)[choice % 8]
        elif action == "missing":
            self.present = not self.present
        elif action == "bounds":
            self.bounds.append((1 + choice % 4, 4 + choice))
            low, high = self.bounds[-1]
            change = {"minReplicas": low, "maxReplicas": high}
            w.api.update(HORIZONTAL_POD_AUTOSCALERS, "ns", "web", lambda hpa: hpa["spec"].update(change))
        elif action == "hand":
            self.by_hand.add(choice + 1)
            w.api.update(DEPLOYMENTS, "ns", "web", lambda d: d["spec"].update(replicas=choice + 1))
        await self._pass(w, 60.0 * (choice % 6) if action == "wait" else 15.0)

    async def _pass(self, w: World, seconds: float) -> None:
        for _ in range(int(seconds // 15)):
            self._observe(w)
            await w.clock.advance(15.0)

    def _observe(self, w: World) -> None:
        """As many pods as are wanted, and the figures of the metrics server."""
        wanted, items = w.get(DEPLOYMENTS, "web")["spec"]["replicas"], []
        for number in range(max(wanted, len(w.pods()))):
            name = f"p{number}"
            if number >= wanted:
                w.api.delete(PODS, "ns", name)
                w.api.finish("ns", name)
                continue
            if ("", "pods", "ns", name) not in w.api.objects:
                container = {"name": "c", "resources": {"requests": {"cpu": "100m"}}}
                made = w.create(PODS, name, {"containers": [container]}, labels={"app": "web"})
                ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
                since = "2020-01-01T00:00:00Z"
                w.api.update(PODS, "ns", name_of(made), lambda p, r=ready, s=since: p.update(
                    status={"phase": "Running", "conditions": [r], "startTime": s}
                ))  # fmt: skip
            used = [{"name": "c", "usage": {"cpu": f"{self.usage}m"}}]
            metadata = {"name": name, "namespace": "ns"}
            items.append(
                {"metadata": metadata, "timestamp": rfc3339(w.clock.now()), "window": "15s", "containers": used}
            )
        w.api.served["/apis/metrics.k8s.io/v1beta1/namespaces/ns/pods"] = {"items": items if self.present else []}

    def kubelets(self, w: World) -> None:
        self._observe(w)

    def end(self, w: World) -> None:
        self.usage, self.present = 50, True

    def check(self, w: World) -> None:
        low, high = self.bounds[-1]
        assert low <= w.get(DEPLOYMENTS, "web")["spec"]["replicas"] <= high
        bounds, sizes = (1, 10), [2]
        for _, _, ident, obj in w.api.history:
            if ident[1] == "horizontalpodautoscalers":
                bounds = obj["spec"]["minReplicas"], obj["spec"]["maxReplicas"]
            elif ident[1] == "deployments" and (size := obj["spec"]["replicas"]) != sizes[-1]:
                if size not in self.by_hand:
                    assert bounds[0] <= size <= bounds[1], (bounds, size)
                sizes.append(size)


@RULES
@given(steps(QuotaStory()))
def test_quota(drawn: list[Step]) -> None:
    play(QuotaStory(), drawn)


@settings(RULES, max_examples=max(1, RULES.max_examples // 2))  # its moments are long
@given(steps(HorizontalStory()))
def test_horizontal_pod_autoscaler(drawn: list[Step]) -> None:
    play(HorizontalStory(), drawn)
