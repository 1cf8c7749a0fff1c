// A fully connected layer over the last axis: one step with what follows it.

import GraftNetworks
import GraftTensors

extension Op.Linear: ExecutableOp {
    var epilogue: Epilogue { .product }
    var quantization: QuantizationRole { .product }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<SavedProduct?> {
        let product = Product(
            name: site.name, convolution: nil, kernel: try site.kernel(),
            bias: site.parameter(.bias), input: rows(site.x), output: rows(site.y))
        return try product.forward(at: site, in: pass)
    }

    /// All axes but the last as one.
    private func rows(_ shape: Shape) -> Shape {
        let width = shape[shape.rank - 1]
        return [shape.count / max(width, 1), width]
    }

    func backward(
        from gradients: OutputGradients, saved: SavedProduct?, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        try Product.backward(from: gradients, saved: saved, at: site, in: pass)
    }
}
