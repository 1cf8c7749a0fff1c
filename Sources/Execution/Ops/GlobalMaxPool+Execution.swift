// The maximum of the whole map.

import CDNNL
import GraftNetworks
import GraftTensors

extension Op.GlobalMaxPool: PoolingOp {
    func pool(at site: NodeSite) -> Pool {
        Pool(
            name: site.name, window: Window(kernel: Extent(site.x[2], site.x[3])),
            algorithm: dnnl_pooling_max, input: site.x, output: site.y)
    }
}
