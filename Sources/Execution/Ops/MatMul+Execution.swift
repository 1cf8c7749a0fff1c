// Products of matrices in batches, on oneDNN's matmul.

import CDNNL
import GraftNetworks
import GraftTensors

extension Op.MatMul: ExecutableOp {
    struct Saved {
        let left: Memory
        let right: Memory
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let compiler = pass.compiler
        let operands = try operands(at: site)
        let (a, b) = (site.inputTypes[0].shape, site.inputTypes[1].shape)
        let left = try compiler.plain(try pass.value(of: site.inputs[0]), of: a)
        let right = try compiler.plain(try pass.value(of: site.inputs[1]), of: b)
        let product = try compiler.product(
            of: Matrices(left, of: a, isTransposed: transposesLeft, isColumn: false),
            and: Matrices(right, of: b, isTransposed: transposesRight, isColumn: true),
            batch: operands.batch, as: site.name)
        let value = try compiler.plain(product.memory, of: product.shape, as: site.y)
        return Outcome(value, saved: Saved(left: left, right: right))
    }

    /// dA = dY · Bᵀ and dB = Aᵀ · dY, summed over the axes that were repeated.
    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let compiler = pass.compiler
        let operands = try operands(at: site)
        let full = Shape(operands.batch + [operands.rows, operands.columns])
        let dy = Matrices(
            try compiler.plain(try gradients.sum(), of: site.y, as: full), of: full,
            isTransposed: false, isColumn: false)
        let (a, b) = (site.inputTypes[0].shape, site.inputTypes[1].shape)
        let left = Matrices(saved.left, of: a, isTransposed: transposesLeft, isColumn: false)
        let right = Matrices(saved.right, of: b, isTransposed: transposesRight, isColumn: true)
        var results: [Memory?] = [nil, nil]
        if pass.learns(site.inputs[0]) {
            // As it lies: of A, or of Aᵀ where that was multiplied.
            let found =
                transposesLeft
                ? try compiler.product(
                    of: right, and: dy.transposed, batch: operands.batch, as: site.name)
                : try compiler.product(
                    of: dy, and: right.transposed, batch: operands.batch, as: site.name)
            results[0] = try compiler.summed(
                found.memory, of: found.shape, to: left.shape, as: site.name)
        }
        if pass.learns(site.inputs[1]) {
            let found =
                transposesRight
                ? try compiler.product(
                    of: dy.transposed, and: left, batch: operands.batch, as: site.name)
                : try compiler.product(
                    of: left.transposed, and: dy, batch: operands.batch, as: site.name)
            results[1] = try compiler.summed(
                found.memory, of: found.shape, to: right.shape, as: site.name)
        }
        return try zip(results, [(left.shape, a), (right.shape, b)]).map { memory, shapes in
            try memory.map { try compiler.plain($0, of: shapes.0, as: shapes.1) }
        }
    }

    private func operands(at site: NodeSite) throws -> Operands {
        do {
            return try operands(of: site.inputTypes)
        } catch {
            throw NetworkError.invalidNode(site.name, reason: error.explanation)
        }
    }
}

/// A row-major batch of matrices, and whether they are read transposed.
struct Matrices {
    let memory: Memory
    /// The sizes as they lie: at least two axes.
    let shape: Shape
    let isTransposed: Bool

    /// A vector is one row, or one column if `isColumn`.
    init(_ memory: Memory, of shape: Shape, isTransposed: Bool, isColumn: Bool) {
        self.memory = memory
        self.shape =
            shape.rank == 1 ? (isColumn ? [shape[0], 1] : [1, shape[0]]) : shape
        self.isTransposed = isTransposed
    }

    private init(memory: Memory, shape: Shape, isTransposed: Bool) {
        self.memory = memory
        self.shape = shape
        self.isTransposed = isTransposed
    }

    var transposed: Matrices {
        Matrices(memory: memory, shape: shape, isTransposed: !isTransposed)
    }

    /// The sizes as they are read.
    var rows: Int { shape[shape.rank - (isTransposed ? 1 : 2)] }
    var columns: Int { shape[shape.rank - (isTransposed ? 2 : 1)] }
    var batch: [Int] { Array(shape.dimensions.dropLast(2)) }

    /// The matrices as oneDNN reads them, with `rank` axes.
    func descriptor(rank: Int) throws -> Descriptor {
        let dims = [Int](repeating: 1, count: rank - shape.rank) + shape.dimensions
        var strides = Shape(dims).rowMajorStrides
        var read = dims
        if isTransposed {
            strides.swapAt(rank - 1, rank - 2)
            read.swapAt(rank - 1, rank - 2)
        }
        return try Descriptor(read, strides: strides)
    }
}

extension Compiler {
    /// The product of two batches of matrices, of shape `batch` + rows × columns.
    func product(of a: Matrices, and b: Matrices, batch: [Int], as name: String) throws
        -> (memory: Memory, shape: Shape)
    {
        let shape = Shape(batch + [a.rows, b.columns])
        var (a, b, target) = (a, b, shape)
        if !a.isTransposed, b.batch.allSatisfy({ $0 == 1 }), a.batch == batch {
            // One matrix for all: the rows of the batch are rows of one product.
            let rows = batch.reduce(a.rows, *)
            a = Matrices(
                a.memory, of: [rows, a.columns], isTransposed: false, isColumn: false)
            let size = Array(b.shape.dimensions.suffix(2))
            b = Matrices(b.memory, of: Shape(size), isTransposed: b.isTransposed, isColumn: false)
            target = [rows, b.columns]
        } else if batch.count > 1, a.batch == batch, b.batch == batch {
            let count = batch.reduce(1, *)
            func joined(_ x: Matrices) -> Matrices {
                Matrices(
                    x.memory, of: Shape([count] + x.shape.dimensions.suffix(2)),
                    isTransposed: x.isTransposed, isColumn: false)
            }
            (a, b, target) = (joined(a), joined(b), [count, a.rows, b.columns])
        }
        let y = try memory(.plain(target.dimensions))
        let source = try a.descriptor(rank: target.rank)
        let weights = try b.descriptor(rank: target.rank)
        let primitive = try Primitive("plan layer `\(name)`", on: engine) { pd in
            source.withPointer { source in
                weights.withPointer { weights in
                    y.descriptor.withPointer {
                        graft_matmul(&pd, engine.engine, source, weights, $0, engine.attributes)
                    }
                }
            }
        }
        primitive.node = name
        primitive.operations = 2 * Double(shape.count) * Double(a.columns)
        append(
            primitive,
            with: [
                (DNNL_ARG_SRC, try Memory(source, in: a.memory.buffer, of: engine)),
                (DNNL_ARG_WEIGHTS, try Memory(weights, in: b.memory.buffer, of: engine)),
                (DNNL_ARG_DST, y),
            ])
        return (try plain(y, of: target, as: shape), shape)
    }
}
