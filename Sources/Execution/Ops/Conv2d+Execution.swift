// Convolution: one step with the BatchNorm, the sum and the activation after it.

import GraftNetworks
import GraftTensors

extension Op.Conv2d: ExecutableOp {
    var epilogue: Epilogue { .product }
    var quantization: QuantizationRole { .product }
    func padsItself(after source: Op) -> Bool { true }

    func dims(of parameter: Parameter) -> [Int] {
        guard parameter.shape.rank == 4 else { return parameter.shape.dimensions }
        return Product.kernelDims(parameter.shape, groups: groups)
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<SavedProduct?> {
        let product = Product(
            name: site.name, convolution: .init(window: window, groups: groups),
            kernel: try site.kernel(), bias: site.parameter(.bias), input: site.x, output: site.y,
            padding: site.padding)
        return try product.forward(at: site, in: pass)
    }

    func backward(
        from gradients: OutputGradients, saved: SavedProduct?, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        try Product.backward(from: gradients, saved: saved, at: site, in: pass)
    }
}
