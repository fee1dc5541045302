"""The DVS gesture benchmark: train the network of arXiv 2504.06748, quantize it, deploy it, and print the table.

    pip install 's2nir[train,data,viz]'
    python examples/dvs_gesture.py --synthetic                          # synthetic gestures, made on the spot
    python examples/dvs_gesture.py --data ~/DvsGesture                  # IBM's recordings (or tonic's folder)
    python examples/dvs_gesture.py --synthetic --preset gaps            # 3 seeds, 2,200 test recordings
    python examples/dvs_gesture.py --dataset nmnist --data ~/NMNIST     # real N-MNIST, the NIR paper's CNN

It is `s2nir bench` under another name. All that it makes is kept in a folder (`-o`), where a killed run goes on; in the
end `results.json`, `results.html` and `results.png` stand there. To try a network of your own in the same frame, put it
into NETWORKS below: any nn.Sequential of snnTorch that takes (batch, 2, size, size) and ends in one neuron per class.
"""

from __future__ import annotations

import sys

from s2nir.bench import networks
from s2nir.cli import main

networks.NETWORKS |= {}  # such as {"dvs-gesture": my_network}, which is called with the seed

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
