// The largest value of each window.

import CDNNL
import GraftNetworks
import GraftTensors

extension Op.MaxPool: ExecutableOp {
    struct Saved {
        let pool: Pool
        let pooled: Pool.Saved
    }

    var quantization: QuantizationRole { .selection }

    /// Padding with −∞ is padding with zeros over values that a ReLU made.
    func padsItself(after source: Op) -> Bool {
        guard case .activation(let before) = source, case .explicit = window.padding else {
            return false
        }
        return before.function == .relu || before.function == .relu6
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let compiler = pass.compiler
        var source: Memory
        let pool: Pool
        if let zeros = zeros(around: site.x) {
            // The zeros are values here, and oneDNN pads a maximum with −∞.
            source = try zeros.pad(
                try pass.value(of: site.inputs[0]), of: site.x, as: site.name, in: compiler)
            var inner = window
            inner.padding = .valid
            pool = Pool(
                name: site.name, window: inner, algorithm: dnnl_pooling_max,
                input: zeros.padded(site.x), output: site.y, padding: site.padding)
        } else {
            // The largest of 8-bit numbers is one of them.
            source = pass.stored(site.inputs[0])
            pool = Pool(
                name: site.name, window: window, algorithm: dnnl_pooling_max, input: site.x,
                output: site.y, padding: site.padding)
        }
        let (value, pooled) = try pool.forward(
            source, isLearning: pass.learning != nil, in: compiler)
        return Outcome(value, saved: Saved(pool: pool, pooled: pooled))
    }

    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        let dx = try saved.pool.backward(
            try gradients.sum(), saved: saved.pooled, in: pass.compiler)
        guard let zeros = zeros(around: site.x) else { return [dx] }
        return [
            try zeros.reversed.pad(
                dx, of: saved.pool.input, as: site.name, in: pass.compiler)
        ]
    }

    /// The zeros that count as values.
    private func zeros(around map: Shape) -> Op.Pad? {
        guard case .zeroSame = window.padding else { return nil }
        return Op.Pad(
            padding: window.resolvedPadding(height: map[2], width: map[3]), value: 0)
    }
}
