// The mean of the whole map.

import CDNNL
import GraftNetworks
import GraftTensors

extension Op.GlobalAveragePool: PoolingOp {
    func pool(at site: NodeSite) -> Pool {
        Pool(
            name: site.name, window: Window(kernel: Extent(site.x[2], site.x[3])),
            algorithm: dnnl_pooling_avg_exclude_padding, input: site.x, output: site.y)
    }
}
