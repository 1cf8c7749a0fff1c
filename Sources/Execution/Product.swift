// Convolutions and fully connected layers as oneDNN takes them, in one direction at a time.

import CDNNL
import GraftNetworks
import GraftTensors

/// A product with a kernel: a convolution or a linear layer at one place of a network.
struct Product {
    let name: String
    /// Nil: a linear layer.
    let convolution: Convolution?
    let kernel: Parameter
    let bias: Parameter?
    /// The shapes of what goes in, without the zeros that the step puts around it, and comes out.
    let input: Shape
    let output: Shape
    /// Zeros around what goes in, beside the window's own.
    var padding = Padding.zero

    struct Convolution {
        var window: Window
        var groups: Int
    }

    /// The dims of a kernel as oneDNN has them: grouped ones have an axis more.
    static func kernelDims(_ shape: Shape, groups: Int) -> [Int] {
        guard groups > 1 else { return shape.dimensions }
        return [groups, shape[0] / groups] + shape.dimensions.dropFirst()
    }

    var kernelDims: [Int] {
        Self.kernelDims(kernel.shape, groups: convolution?.groups ?? 1)
    }

    /// Multiplications and additions.
    var operations: Double {
        2 * Double(output.count) * Double(kernel.shape.count / max(kernel.shape[0], 1))
    }
}

/// The types that a product reads and writes.
struct ProductTypes {
    var source: dnnl_data_type_t
    var weights: dnnl_data_type_t
    var target: dnnl_data_type_t

    static let f32 = ProductTypes(source: dnnl_f32, weights: dnnl_f32, target: dnnl_f32)
    static let bf16 = ProductTypes(source: dnnl_bf16, weights: dnnl_bf16, target: dnnl_bf16)
}

extension Compiler {
    /// Compiles a product in one direction, layouts left to oneDNN.
    func primitive(
        _ product: Product, direction: dnnl_prop_kind_t, bias: Bool, attributes: PostOps? = nil,
        hint: Primitive? = nil, types: ProductTypes = .f32
    ) throws -> Primitive {
        let weights = try Descriptor.any(product.kernelDims, type: types.weights)
        let biases = bias ? try Descriptor.plain([product.output[1]]) : nil
        let dst = try Descriptor.any(product.output.dimensions, type: types.target)
        let src = try Descriptor.any(product.input.dimensions, type: types.source)
        let attr = attributes?.attributes ?? engine.attributes
        let pointers = { (body: (UnsafePointer<graft_md>?) -> dnnl_status_t) -> dnnl_status_t in
            biases.map { $0.withPointer { body($0) } } ?? body(nil)
        }
        let geometry = product.convolution.map {
            window(
                $0.window, input: product.input, output: product.output, extra: product.padding)
        }
        let primitive = try Primitive("plan layer `\(product.name)`", on: engine) { pd in
            src.withPointer { src in
                weights.withPointer { weights in
                    dst.withPointer { dst in
                        pointers { bias in
                            guard let geometry else {
                                // The matrix reads what lies row-major already.
                                return graft_linear(
                                    &pd, engine.engine, direction, src, weights, bias, dst, attr,
                                    hint?.description)
                            }
                            return withUnsafePointer(to: geometry) {
                                graft_conv(
                                    &pd, engine.engine, direction, src, weights, bias, dst, $0,
                                    attr, hint?.description)
                            }
                        }
                    }
                }
            }
        }
        primitive.node = product.name
        primitive.operations = product.operations
        return primitive
    }
}

/// The work of a primitive on its result before it writes it.
final class PostOps {
    let attributes: dnnl_primitive_attr_t

    init(sum: Bool, activation: Activation?) throws(ExecutionError) {
        let (algorithm, alpha, beta) = activation?.algorithms.first ?? (dnnl_eltwise_relu, 0, 0)
        var attributes: dnnl_primitive_attr_t?
        try check(
            graft_attr_create(
                &attributes, sum ? 1 : 0, activation == nil ? 0 : 1, algorithm, alpha, beta),
            "fuse")
        guard let attributes else { throw .library("fuse", code: 0) }
        self.attributes = attributes
    }

    /// Takes what `create` makes.
    init(
        _ create: (inout dnnl_primitive_attr_t?) -> dnnl_status_t
    ) throws(ExecutionError) {
        var attributes: dnnl_primitive_attr_t?
        let status = create(&attributes)
        guard let attributes else { throw .library("fuse", code: Int(status.rawValue)) }
        self.attributes = attributes
        try check(status, "fuse")
    }

    deinit { dnnl_primitive_attr_destroy(attributes) }
}
