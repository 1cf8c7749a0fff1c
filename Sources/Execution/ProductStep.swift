// The step of a product with all that is fused into it, in both directions.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

/// The values that the forward step of a product leaves for backward.
struct SavedProduct {
    let product: Product
    let primitive: Primitive
    /// The value that went in, as it was read.
    let source: Memory
    let output: Memory
    let weights: LearningWeights
    let activation: (name: String, bounds: (lower: Float, upper: Float))?
}

extension Product {
    /// Compiles the group that begins with this product; nothing is saved in inference.
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<SavedProduct?> {
        let compiler = pass.compiler
        let nodes = compiler.graph.nodes
        var activation: Activation?
        if let index = site.group.activation, case .activation(let op) = nodes[index].op {
            activation = op.function
        }
        let norm = site.group.norm.map { nodes[$0] }
        guard pass.learning == nil else {
            return try learning(at: site, activation: activation, norm: norm, in: pass)
        }
        let weights = ConstantWeights(self, norm: norm, in: compiler)
        defer { weights.forget() }
        if let value = try quantized(at: site, activation: activation, weights: weights, in: pass) {
            return Outcome(value, saved: nil)
        }
        func direct() throws -> Primitive {
            try compiler.primitive(
                self, direction: dnnl_forward_inference, bias: weights.hasBias,
                attributes: try PostOps(sum: site.group.sum != nil, activation: activation),
                types: compiler.options.usesBF16 ? .bf16 : .f32)
        }
        let source = try source(at: site, in: pass)
        let choice = try compiler.choice(
            self, source: source, activation: activation, direct: direct)
        let (_, y) = try step(
            at: site, source: source, activation: activation, weights: weights,
            transform: choice.transform, direct: direct, in: pass)
        return Outcome(try compiler.plain(y, of: output, unless: site.y), saved: nil)
    }

    /// What goes in: rows of it, for a layer over the last axis of a value of higher rank.
    private func source(at site: NodeSite, in pass: ForwardPass) throws -> Memory {
        try pass.compiler.plain(
            try pass.value(of: site.inputs[0]), of: site.x, unless: input)
    }

    private func learning(
        at site: NodeSite, activation: Activation?, norm: Node?, in pass: ForwardPass
    ) throws -> Outcome<SavedProduct?> {
        let compiler = pass.compiler
        let weights = try LearningWeights(self, norm: norm, in: pass)
        // Backward needs the primitive in any case.
        let primitive = try compiler.primitive(
            self, direction: dnnl_forward_training, bias: weights.hasBias,
            attributes: try PostOps(sum: site.group.sum != nil, activation: activation))
        let (source, y) = try step(
            at: site, source: try source(at: site, in: pass), activation: activation,
            weights: weights, transform: compiler.ruledTransform(self), direct: { primitive },
            in: pass)
        let value = try compiler.plain(y, of: output, unless: site.y)
        let name = compiler.graph.nodes[site.group.last].name
        let saved = SavedProduct(
            product: self, primitive: primitive, source: source, output: value, weights: weights,
            activation: activation?.bounds.map { (name, $0) })
        // Without an activation backward does not read the value.
        return Outcome(value, saved: saved, isReadBackward: activation != nil)
    }

    /// Appends the step in f32 or bf16, by graft's transforms or by oneDNN.
    ///
    /// - Returns: what went in as it was read, and what came out.
    private func step(
        at site: NodeSite, source: Memory, activation: Activation?, weights: any ProductWeights,
        transform: ConvolutionChoice.Transform?, direct: () throws -> Primitive,
        in pass: ForwardPass
    ) throws -> (source: Memory, y: Memory) {
        let compiler = pass.compiler
        let biases = try weights.bias()
        let home =
            site.group.sum == nil && output == site.y
            ? try site.group.place.flatMap { try pass.part(site.group.last, at: $0) } : nil
        if let transform,
            let (work, block, layout) = try compiler.winograd(
                self, source: source, activation: activation, transform: transform,
                target: home?.layout)
        {
            let kernel = try weights.transformed(for: work, block: block)
            let y = try home ?? room(at: site, layout.descriptor(), layout: layout, in: pass)
            compiler.appendWinograd(
                self, work: work, block: block, source: source, weights: kernel, bias: biases,
                target: y, accumulate: site.group.sum != nil)
            return (source, y)
        }
        let primitive = try direct()
        let x = try compiler.reordered(source, to: try primitive.descriptor(dnnl_query_src_md))
        let kernel = try weights.kernel(as: try primitive.descriptor(dnnl_query_weights_md))
        let y = try room(
            at: site, try primitive.descriptor(dnnl_query_dst_md), layout: nil, in: pass)
        var arguments = [(DNNL_ARG_SRC, x), (DNNL_ARG_WEIGHTS, kernel), (DNNL_ARG_DST, y)]
        if let biases { arguments.append((DNNL_ARG_BIAS, biases)) }
        compiler.append(primitive, with: arguments)
        return (x, y)
    }

    /// Room for the result, which holds what is added if there is a sum: in place where
    /// no group is left to read that.
    private func room(
        at site: NodeSite, _ descriptor: Descriptor, layout: MapLayout?, in pass: ForwardPass
    ) throws -> Memory {
        let compiler = pass.compiler
        guard let addend = site.group.addend else {
            return try layout.map { try compiler.memory($0) } ?? compiler.memory(descriptor)
        }
        let value = try compiler.plain(
            try pass.value(of: addend), of: site.y, unless: output)
        if isFree(addend, at: site, in: pass), value.descriptor == descriptor { return value }
        let y = try layout.map { try compiler.memory($0) } ?? compiler.memory(descriptor)
        try compiler.reorder(value, into: y)
        return y
    }

    /// Whether the sum may be written over what is added: neither this product nor another group reads it.
    private func isFree(_ addend: ValueID, at site: NodeSite, in pass: ForwardPass) -> Bool {
        addend != site.inputs[0] && pass.isFree(addend)
    }

    /// Appends the step in eight bits, where that is asked for and can be; nil elsewhere.
    private func quantized(
        at site: NodeSite, activation: Activation?, weights: ConstantWeights, in pass: ForwardPass
    ) throws -> Memory? {
        let (compiler, group) = (pass.compiler, site.group)
        // The image itself stays as it is: it has few channels and needs all its levels.
        guard compiler.options.usesInt8, output == site.y, !pass.isImage(site.inputs[0]),
            let source = pass.quantum(of: site.inputs[0])
        else { return nil }
        // A sum is told in eight bits where what is added can be too.
        let added = group.addend.flatMap { pass.quantum(of: $0) }
        let isTold = group.isToldInEightBits && (group.addend == nil || added != nil)
        let step = try compiler.quantizedStep(
            self, source: source,
            target: isTold
                ? compiler.quantum(of: compiler.graph.nodes[group.last]) : nil,
            sum: group.addend != nil, addend: isTold ? added : nil, activation: activation,
            weights: weights)
        guard let step else { return nil }
        var sum: Memory?
        if let addend = group.addend {
            let value =
                try step.addend.map { try pass.quantized(addend, to: $0) }
                ?? pass.value(of: addend)
            sum = isFree(addend, at: site, in: pass) ? value : try compiler.copied(value)
        }
        return try compiler.append(
            step, of: self, source: try pass.quantized(site.inputs[0], to: source),
            weights: weights, sum: sum)
    }

    /// Compiles the gradients of the group: of what goes in, and of what is added.
    static func backward(
        from gradients: OutputGradients, saved: SavedProduct?, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        guard let saved else { return [] }
        let compiler = pass.compiler
        let dz =
            try saved.activation.map {
                try compiler.maskedSum(
                    gradients.parts[0], where: saved.output, isWithin: $0.bounds, as: $0.name)
            } ?? gradients.sum()
        let own = site.group.norm ?? site.index
        guard pass.learns(ValueID(own)) else { return [nil, dz] }
        let product = saved.product
        let dy = try compiler.plain(dz, of: site.y, unless: product.output)
        try saved.weights.appendGradients(
            source: saved.source, gradient: dy, hint: saved.primitive)
        let dx =
            pass.learns(site.inputs[0])
            ? try compiler.inputGradient(
                product, gradient: dy, hint: saved.primitive,
                weights: { try saved.weights.kernel(as: $0) }) : nil
        return [try dx.map { try compiler.plain($0, of: product.input, unless: site.x) }, dz]
    }
}
