// Layer normalisation over the channels, which oneDNN wants innermost.

import CDNNL
import GraftNetworks
import GraftTensors

extension Op.LayerNorm: ExecutableOp {
    struct Saved {
        let source: Memory
        let gamma: Memory
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let (compiler, shape) = (pass.compiler, site.y)
        let gamma = try pass.weight(try site.required(.scale))
        let beta = try pass.weight(try site.required(.shift))
        let channels = shape[1]
        let layout: Descriptor =
            try shape.rank == 4 ? .channelsLast(shape.dimensions) : .plain(shape.dimensions)
        let rows = shape.count / channels
        let value = try pass.value(of: site.inputs[0])
        let x = try compiler.reordered(value, to: layout)
        let y = try compiler.memory(layout)
        let view = try Descriptor.plain([rows, channels])
        let statistics = try Descriptor.plain([rows])
        let engine = compiler.engine
        let primitive = try Primitive("plan layer `\(site.name)`", on: engine) { pd in
            view.withPointer { view in
                statistics.withPointer {
                    graft_layer_norm(&pd, engine.engine, view, $0, epsilon, engine.attributes)
                }
            }
        }
        primitive.node = site.name
        compiler.append(
            primitive,
            with: [
                (DNNL_ARG_SRC, try Memory(view, in: x.buffer, of: engine)),
                (DNNL_ARG_DST, try Memory(view, in: y.buffer, of: engine)),
                (DNNL_ARG_SCALE, gamma), (DNNL_ARG_SHIFT, beta),
            ])
        return Outcome(y, saved: Saved(source: value, gamma: gamma))
    }

    /// dx = s (g − mean g − x̂ · mean(g x̂)) with g = γ dy and x̂ the normal value.
    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let (gamma, epsilon) = (saved.gamma, Double(epsilon))
        let dGamma = pass.gradient(of: site.parameter(.scale))
        let dBeta = pass.gradient(of: site.parameter(.shift))
        let positions = ChannelPositions(site.x)
        let channels = positions.channels
        let dx = try pass.compiler.rowMajorLoop(
            site.name, reading: [(saved.source, site.x), (try gradients.sum(), site.y)],
            writing: site.x
        ) { sources, target in
            let (x, g) = (sources[0], sources[1])
            let gamma = gamma.buffer.floats(channels)
            var scales = [Double](repeating: 0, count: channels)
            var shifts = scales
            positions.forEach { places in
                let (mean, scale) = Self.statistics(x, at: places, epsilon: epsilon)
                var sum = 0.0
                var product = 0.0
                for (c, at) in places.enumerated() {
                    let normal = (Double(x[at]) - mean) * scale
                    scales[c] += Double(g[at]) * normal
                    shifts[c] += Double(g[at])
                    sum += Double(g[at]) * Double(gamma[c])
                    product += Double(g[at]) * Double(gamma[c]) * normal
                }
                let count = Double(channels)
                for (c, at) in places.enumerated() {
                    let normal = (Double(x[at]) - mean) * scale
                    let own = Double(g[at]) * Double(gamma[c])
                    target[at] = Float(scale * (own - sum / count - normal * product / count))
                }
            }
            _ = dGamma?.buffer.floats(channels).update(fromContentsOf: scales.map { Float($0) })
            _ = dBeta?.buffer.floats(channels).update(fromContentsOf: shifts.map { Float($0) })
        }
        return [dx]
    }

    /// The mean of a position's channels, and one over their deviation.
    private static func statistics(
        _ x: Floats, at places: StrideTo<Int>, epsilon: Double
    ) -> (mean: Double, scale: Double) {
        var sum = 0.0
        var count = 0.0
        for at in places {
            sum += Double(x[at])
            count += 1
        }
        let mean = sum / count
        var squares = 0.0
        for at in places {
            let d = Double(x[at]) - mean
            squares += d * d
        }
        return (mean, 1 / (squares / count + epsilon).squareRoot())
    }
}
