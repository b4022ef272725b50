"""The heat map can be read in print, and by those who see no colours."""

import numpy as np
import pytest

from ipam_core._subnet import Subnet
from ipam_core.plots import subnet as plot
from ipam_core.subnet.inventory import Inventory
from ipam_core.subnet.report import report_on


def lightness(colours):
    """Return relative luminance (ITU-R BT.709, sRGB decoded), as a printer shows it."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_more_in_use_is_darker_and_a_free_block_stands_out():
    shades = lightness(plot._colour_map()(np.arange(17) / 16)[:, :3])
    assert (np.diff(shades) < 0).all()
    assert shades[0] - shades[1] == max(-np.diff(shades))
    assert shades[0] > 1.5 * shades[1]  # contrast where colours are not seen


@pytest.fixture
def drawn(monkeypatch):
    """Return the figure of a map of a subnet of every state, instead of writing it."""
    figures = []
    monkeypatch.setattr(plot, "save", lambda figure, _: figures.append(figure))

    def draw(cidr):
        subnet = Subnet(cidr)
        known = {"SubnetId": "subnet-1", "CidrBlock": cidr}
        reserved = [("10.0.0.32/28", "prefix"), ("10.0.0.48/28", "explicit")]
        eni = {
            "NetworkInterfaceId": "eni-1",
            "SubnetId": "subnet-1",
            "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.0.70"}],
            "Ipv4Prefixes": [{"Ipv4Prefix": "10.0.0.16/28"}],
        }
        inventory = Inventory()
        inventory.add({"Subnets": [known], "NetworkInterfaces": [eni]}, "test")
        inventory.reservations["subnet-1"] = reserved
        plot.plot_blocks([report_on(inventory, "subnet-1")], None)
        return figures[-1].axes[0], subnet.n_blocks

    return draw


@pytest.mark.parametrize("cidr", ["10.0.0.0/25", "10.0.0.0/21"])
def test_each_block_is_a_cell_and_its_state_a_letter(drawn, cidr):
    axis, n_blocks = drawn(cidr)
    cells = axis.images[0].get_array()
    assert cells.shape[0] * cells.shape[1] == n_blocks  # none beyond, which would look free
    placed = [collection.get_offsets().tolist() for collection in axis.collections]
    assert placed == [
        [[0, 0], [cells.shape[1] - 1, cells.shape[0] - 1]],  # of AWS
        [[1, 0]],
        [[2, 0]],
        [[3, 0]],
    ]
    shades = lightness(cells)
    assert shades[0, 4] < shades[0, 5] == 1  # one address in use, none
