// The mean of each window.

import CDNNL
import GraftNetworks

extension Op.AveragePool: PoolingOp {
    func pool(at site: NodeSite) throws -> Pool {
        if countsPadding, window.roundsUp {
            throw ExecutionError.roundedPooling(layer: site.name)
        }
        return Pool(
            name: site.name, window: window,
            algorithm: countsPadding
                ? dnnl_pooling_avg_include_padding : dnnl_pooling_avg_exclude_padding,
            input: site.x, output: site.y)
    }
}
