"""The words of What if. What the model says, findings and verdicts, is in English."""

from __future__ import annotations

WORDS = {
    "title": ("What will these settings do?", "이 설정은 어떻게 동작합니까?"),
    "lead": (
        "A node is played from no pod to maxPods and back, by the agent's rules.",
        "에이전트의 규칙으로 노드를 파드 0개에서 maxPods까지, 다시 0개까지 실행합니다.",
    ),
    "node": ("Node", "노드"),
    "instance": ("Instance type", "인스턴스 유형"),
    "targets": ("Targets", "목표값"),
    "switches": ("Modes", "모드"),
    "default": ("default", "기본값"),
    "usual": ("the usual one", "일반적인 값"),
    "picture": ("Addresses, ENIs and EC2 calls against pods", "파드 수에 따른 주소, ENI, EC2 호출"),
    "addresses": ("addresses held (steps), pods (line)", "보유한 주소(계단), 파드(선)"),
    "calls": ("EC2 calls", "EC2 호출"),
    "pods": ("pods", "파드"),
    "wall": ("pod {} waits for ever", "파드 {}: 계속 대기"),
    "findings": ("Findings", "발견된 문제"),
    "none": ("Nothing is wrong.", "문제가 없습니다."),
    "apply": ("Apply and compare", "적용하고 비교하기"),
    "outcome": ("Played with it", "적용한 결과"),
    "compare": ("What the change does", "변경의 효과"),
    "as_it_was": ("as it was", "변경 전"),
    "as_it_is": ("as it is", "변경 후"),
    "what": ("what", "항목"),
    "same": ("Nothing changes.", "달라지는 것이 없습니다."),
    "undo": ("Undo", "되돌리기"),
    "table": ("The node at each step", "단계별 노드 상태"),
    "free": ("free", "남은 주소"),
    "held": ("addresses", "주소"),
    "apply_it": ("To set it", "설정 방법"),
    "helm": ("Helm values", "Helm 값"),
    "addon": ("Add-on configuration", "애드온 구성"),
    "numbers": ("The same numbers", "같은 수치를 출력하는 명령"),
}
