"""The words of the part `A subnet`. What the report says of AWS is in English."""

from __future__ import annotations

WORDS = {
    "title": ("What is in this subnet?", "이 서브넷에는 무엇이 있습니까?"),
    "lead": (
        "Drop what aws ec2 describe-subnets and describe-network-interfaces print.",
        "aws ec2 describe-subnets와 describe-network-interfaces의 출력을 놓으십시오.",
    ),
    "optional": (
        "Also, for a surer answer: instances, CIDR reservations, kubectl get pods -A -o json.",
        "더 정확한 결과를 위해: 인스턴스, CIDR 예약, kubectl get pods -A -o json의 출력.",
    ),
    "live": ("Or read it from AWS", "또는 AWS에서 읽기"),
    "live_hint": (
        "Read-only calls with the credentials of the machine that runs ipam-core web.",
        "ipam-core web을 실행하는 컴퓨터의 자격 증명으로 읽기 호출만 합니다.",
    ),
    "subnet_ids": ("Subnet ids", "서브넷 ID"),
    "cluster": ("EKS cluster", "EKS 클러스터"),
    "read": ("Read from AWS", "AWS에서 읽기"),
    "reading": ("Reading from AWS", "AWS에서 읽는 중"),
    "options": ("Options", "옵션"),
    "subnet": ("Subnet", "서브넷"),
    "win": ("/28s to win by drains", "드레인으로 확보할 /28 수"),
    "instance": ("Type of the nodes that join", "추가할 노드의 유형"),
    "most_frequent": ("the most frequent", "가장 많은 유형"),
    "fragmentation": ("fragmentation", "단편화"),
    "used": ("{n} addresses used", "사용 중인 주소 {n}개"),
    "free": ("{n} free", "남은 주소 {n}개"),
    "free_prefixes": ("{n} free /28s", "남은 /28 {n}개"),
    "run": ("longest run of free blocks: {n}", "연속된 빈 블록: 최대 {n}개"),
    "available": ("AvailableIpAddressCount of AWS: {n}", "AWS의 AvailableIpAddressCount: {n}"),
    "disagrees": (
        "The files and AWS disagree by {n} addresses or more.",
        "파일과 AWS의 주소 수가 {n}개 이상 다릅니다.",
    ),
    "partial": (
        "The files do not show all that is in use: the free counts are upper bounds.",
        "파일에 사용 중인 주소가 모두 나와 있지 않습니다. 남은 수는 상한입니다.",
    ),
    "no_single": (
        "All free addresses are in CIDR reservations. No ENI can be created here.",
        "남은 주소가 모두 CIDR 예약에 있습니다. 여기에 ENI를 만들 수 없습니다.",
    ),
    "skipped": ("skipped", "제외됨"),
    "map": ("The map: one cell for each /28", "지도: 칸 하나가 /28 하나"),
    "map_keys": (
        "Point at a cell, or focus the map and press the arrow keys, to see who holds it.",
        "칸을 가리키거나, 지도를 선택하고 화살표 키를 누르면 누가 쓰는지 보입니다.",
    ),
    "of_16": ("of 16 used", "/16 사용 중"),
    "nobody": ("nobody", "없음"),
    "freed": ("free after the drain", "드레인 후 비는 블록"),
    "reservation": ("CIDR reservation", "CIDR 예약"),
    "advised": ("advised reservation", "권장 예약"),
    "drains": ("Drain", "드레인"),
    "drain_hint": (
        "Tick the nodes to drain and end. A block becomes free when all that hold it are ended.",
        "드레인하고 종료할 노드를 선택하십시오. 블록을 쓰는 노드가 모두 종료되면 블록이 빕니다.",
    ),
    "tick_advised": ("Tick those of the advice", "권장 노드 선택"),
    "tick_none": ("Untick all", "모두 해제"),
    "no_nodes": ("No node holds an address here.", "주소를 쓰는 노드가 없습니다."),
    "node": ("node", "노드"),
    "pods": ("pods", "파드"),
    "at_most_pods": ("pods ≤", "파드 ≤"),
    "blocks": ("in /28s", "걸친 /28"),
    "gain": (
        "{nodes} nodes drained: {won} /28s won, {free} free",
        "노드 {nodes}개 드레인: /28 {won}개 확보, 총 {free}개",
    ),
    "gain_pods": ("{n} pods evicted", "파드 {n}개 축출"),
    "gain_at_most": ("at most {n} pods evicted", "파드 최대 {n}개 축출"),
    "gain_score": ("fragmentation then {n}", "이후 단편화 {n}"),
    "searching": ("Searching for the best drains", "가장 좋은 드레인을 찾는 중"),
    "advice": ("Advice", "권장 사항"),
    "withheld": ("No advice", "권장 사항 없음"),
    "plan": (
        "{won} /28s by draining {nodes} of {all} nodes, {pods} pods evicted",
        "노드 {all}개 중 {nodes}개를 드레인하여 /28 {won}개 확보, 파드 {pods}개 축출",
    ),
    "attainable": (
        "All drains together can win {n} /28s.",
        "모든 노드를 드레인하면 /28 {n}개를 확보할 수 있습니다.",
    ),
    "proven": ("Proven: no choice evicts fewer pods.", "증명됨: 축출이 더 적은 선택은 없습니다."),
    "not_proven": ("Not proven to be the best", "최선임이 증명되지 않음"),
    "at_least": (
        "No choice evicts fewer than {n}, as far as is known ({method}).",
        "알려진 범위에서 {n}개보다 적게 축출하는 선택은 없습니다({method}).",
    ),
    "delete": (
        "Delete {n} leaked ENIs: frees {addresses} addresses and {won} /28s",
        "누수된 ENI {n}개 삭제: 주소 {addresses}개와 /28 {won}개 확보",
    ),
    "reserve": (
        "A prefix reservation costs least at {cidr}",
        "prefix 예약 비용이 최소인 범위: {cidr}",
    ),
    "reserve_is": (
        (
            "{free} of its {n} /28s are free now; {held} single addresses hold the others, "
            "{nodes} of them of nodes; {withdrawn} free addresses are then for /28s only."
        ),
        (
            "/28 {n}개 중 {free}개가 비어 있고, 나머지는 주소 {held}개(노드 {nodes}개)가 씁니다. "
            "남은 주소 {withdrawn}개는 /28 전용이 됩니다."
        ),
    ),
    "fits": ("More nodes of {type} that fit", "추가할 수 있는 {type} 노드 수"),
    "assumed": (
        "The type is assumed: the files name none.",
        "파일에 유형이 없어 가정한 값입니다.",
    ),
    "mode": ("mode", "모드"),
    "now": ("now", "현재"),
    "after_deletion": ("deleted", "삭제 후"),
    "after_drains": ("drained", "드레인 후"),
    "after_reservation": ("reserved", "예약 후"),
    "after_both": ("both", "모두 적용"),
    "owners": ("Owners", "소유자"),
    "owner": ("owner", "소유자"),
    "addresses": ("addresses", "주소"),
    "notices": ("Notes", "참고"),
}
