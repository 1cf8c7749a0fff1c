// Functions of one value and of two, on graft's own loops.

import CKernels
import GraftNetworks
import GraftTensors

extension Op.Elementwise: ExecutableOp {
    private var kernel: Int32 {
        let kernel =
            switch function {
            case .abs: GRAFT_ABS
            case .neg: GRAFT_NEG
            case .exp: GRAFT_EXP
            case .log: GRAFT_LOG
            case .sqrt: GRAFT_SQRT
            case .reciprocal: GRAFT_RECIPROCAL
            case .erf: GRAFT_ERF
            case .sign: GRAFT_SIGN
            case .floor: GRAFT_FLOOR
            case .ceil: GRAFT_CEIL
            case .round: GRAFT_ROUND
            case .sin: GRAFT_SIN
            case .cos: GRAFT_COS
            case .tan: GRAFT_TAN
            case .asin: GRAFT_ASIN
            case .acos: GRAFT_ACOS
            case .atan: GRAFT_ATAN
            case .sinh: GRAFT_SINH
            case .cosh: GRAFT_COSH
            case .asinh: GRAFT_ASINH
            case .acosh: GRAFT_ACOSH
            case .atanh: GRAFT_ATANH
            }
        return Int32(kernel)
    }

    /// Forward leaves what it read.
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        let (kernel, threads) = (kernel, pass.compiler.threads)
        let source = try pass.compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        let value = try pass.compiler.rowMajorLoop(
            site.name, reading: [(source, site.x)], writing: site.y
        ) { x, y in
            graft_map(kernel, y.count, x[0].baseAddress, y.baseAddress, threads)
        }
        return Outcome(value, saved: source)
    }

    func backward(
        from gradients: OutputGradients, saved source: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        let (kernel, threads) = (kernel, pass.compiler.threads)
        let dx = try pass.compiler.rowMajorLoop(
            site.name, reading: [(source, site.x), (try gradients.sum(), site.y)], writing: site.x
        ) { sources, dx in
            graft_map_backward(
                kernel, dx.count, sources[0].baseAddress, sources[1].baseAddress, dx.baseAddress,
                threads)
        }
        return [dx]
    }
}

extension Op.Binary: ExecutableOp {
    struct Saved {
        /// The two operands, repeated to the size of the result.
        let left: Memory
        let right: Memory
    }

    private var kernel: Int {
        switch function {
        case .subtract: GRAFT_SUBTRACT
        case .divide: GRAFT_DIVIDE
        case .power: GRAFT_POWER
        case .minimum: GRAFT_LEAST
        case .maximum: GRAFT_LARGEST
        case .modulo: GRAFT_MODULO
        case .remainder: GRAFT_REMAINDER
        }
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let compiler = pass.compiler
        let (a, b) = (site.inputTypes[0].shape, site.inputTypes[1].shape)
        let left = try compiler.repeated(
            try pass.value(of: site.inputs[0]), of: a, to: site.y, as: site.name)
        var right = try pass.value(of: site.inputs[1])
        if pass.learning != nil {
            right = try compiler.repeated(right, of: b, to: site.y, as: site.name)
        }
        let value = try compiler.pair(
            kernel, left, of: site.y, with: right, of: pass.learning == nil ? b : site.y,
            as: site.name)
        return Outcome(value, saved: Saved(left: left, right: right))
    }

    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let compiler = pass.compiler
        let dz = try compiler.plain(try gradients.sum(), of: site.y)
        let (kernel, threads) = (Int32(kernel), compiler.threads)
        return try site.inputs.indices.map { place in
            guard pass.learns(site.inputs[place]) else { return nil }
            let d = try compiler.rowMajorLoop(
                site.name,
                reading: [(saved.left, site.y), (saved.right, site.y), (dz, site.y)],
                writing: site.y
            ) { sources, d in
                graft_pair_backward(
                    kernel, d.count, sources[0].baseAddress, sources[1].baseAddress,
                    sources[2].baseAddress, place == 0 ? d.baseAddress : nil,
                    place == 1 ? d.baseAddress : nil, threads)
            }
            return try compiler.summed(
                d, of: site.y, to: site.inputTypes[place].shape, as: site.name)
        }
    }
}

extension Compiler {
    /// A function of two values, the second repeated to fit the first.
    func pair(
        _ kernel: Int, _ left: Memory, of shape: Shape, with right: Memory, of other: Shape,
        as name: String
    ) throws -> Memory {
        var (right, other) = (right, other)
        // What is the same for all that lies before it is read over and over.
        let core = other.dimensions.drop { $0 == 1 }
        if !shape.dimensions.suffix(core.count).elementsEqual(core) {
            right = try repeated(right, of: other, to: shape, as: name)
            other = shape
        }
        let threads = threads
        return try rowMajorLoop(name, reading: [(left, shape), (right, other)], writing: shape) {
            sources, z in
            graft_pair(
                Int32(kernel), z.count, sources[0].baseAddress, sources[1].baseAddress,
                sources[1].count, z.baseAddress, threads)
        }
    }
}
