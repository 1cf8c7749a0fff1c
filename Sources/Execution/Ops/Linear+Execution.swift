// A fully connected layer: one step with what follows it.

import GraftNetworks

extension Op.Linear: ExecutableOp {
    var epilogue: Epilogue { .product }
    var quantization: QuantizationRole { .product }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<SavedProduct?> {
        let product = Product(
            name: site.name, convolution: nil, kernel: try site.kernel(),
            bias: site.parameter(.bias), input: site.x, output: site.y)
        return try product.forward(at: site, in: pass)
    }

    func backward(
        from gradients: OutputGradients, saved: SavedProduct?, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        try Product.backward(from: gradients, saved: saved, at: site, in: pass)
    }
}
