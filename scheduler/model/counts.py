"""How many pods of some description each node has, kept up to date pod by pod.

Spreading and pod affinity ask the same questions for every pod of a workload. A question is asked once in full; from then on
each pod that comes or goes changes the answers that it belongs to.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kubeling.api.selectors import Selector
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo
from scheduler.model.terms import PodTerm

NamespaceLabels = Callable[[str], Mapping[str, str]]
_MAX_QUESTIONS = 512


@dataclass(frozen=True, slots=True)
class Question:
    """Pods of ``namespace`` that the selector matches and that are not being deleted; with ``terms``, pods that all select."""

    namespace: str = ""
    selector: Selector | None = None
    terms: tuple[PodTerm, ...] = ()

    def includes(self, pod: PodInfo, namespace_labels: NamespaceLabels) -> bool:
        if self.selector is not None:
            return pod.namespace == self.namespace and not pod.deleting and self.selector.matches(pod.labels)
        return all(t.selects(pod.namespace, pod.labels, namespace_labels) for t in self.terms)


class Counts:
    """Answers to the questions asked lately: node name to count, without zeros."""

    def __init__(self, namespace_labels: NamespaceLabels) -> None:
        self._namespace_labels = namespace_labels
        self._answers: OrderedDict[Question, dict[str, int]] = OrderedDict()

    def of(self, question: Question, nodes: Iterable[NodeInfo]) -> Mapping[str, int]:
        answer = self._answers.get(question)
        if answer is None:
            answer = {n.name: count for n in nodes if (count := self.on(question, n))}
            self._answers[question] = answer
            if len(self._answers) > _MAX_QUESTIONS:
                self._answers.popitem(last=False)
        else:
            self._answers.move_to_end(question)
        return answer

    def on(self, question: Question, node: NodeInfo) -> int:
        """The answer for one node, counted."""
        return sum(question.includes(p, self._namespace_labels) for p in node.pods.values())

    def changed(self, pod: PodInfo, node: str, by: int) -> None:
        """A pod came to a node (``by`` 1) or left it (-1)."""
        for question, answer in self._answers.items():
            if question.includes(pod, self._namespace_labels):
                count = answer.get(node, 0) + by
                if count:
                    answer[node] = count
                else:
                    answer.pop(node, None)

    def forget(self) -> None:
        """Namespaces changed their labels: ask anew."""
        self._answers.clear()
