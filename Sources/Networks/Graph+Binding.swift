// Fits a state dict to a graph: names, axes and shapes, and says what does not meet.

public import GraftTensors
import OrderedCollections

extension Graph {
    /// The weights of this network out of `state`: under the network's names, in its order, with
    /// logical axes and as 32-bit floats (converted when loaded).
    ///
    /// Throws ``NetworkError/binding(_:)`` when a parameter is missing, when a tensor has no place
    /// or when shapes differ. PyTorch's `num_batches_tracked` is not a weight and is passed over.
    public func bound(_ state: StateDict) throws(NetworkError) -> StateDict {
        let (result, report) = binding(state)
        guard report.isClean else { throw .binding(report) }
        return result
    }

    /// The weights that fit, and a report of what does not.
    public func binding(_ state: StateDict) -> (weights: StateDict, report: BindingReport) {
        let named = bindByName(state)
        // Another publisher's network may have the same shapes in the same order, and compute
        // something else.
        if !named.report.isClean, state.axes == .keras, naming == .keras,
            let byPosition = bindByPosition(state)
        {
            return (byPosition, BindingReport(network: name))
        }
        return named
    }

    private func bindByName(_ state: StateDict) -> (weights: StateDict, report: BindingReport) {
        var report = BindingReport(network: name)
        var result = StateDict(metadata: state.metadata, axes: .torch)
        // The file's names, as networks write them.
        var files: [String: String] = [:]
        for name in state.tensors.keys where !name.hasSuffix("num_batches_tracked") {
            files[canonical(name)] = name
        }
        if naming == .keras {
            files.merge(inner(state.tensors.keys)) { known, _ in known }
            files.merge(renumbered(files)) { _, mine in mine }
        }
        var used: Set<String> = []
        for parameter in parameters {
            guard let file = spellings(of: parameter).lazy.compactMap({ files[$0] }).first,
                let tensor = state[file]
            else {
                report.missing.append(parameter.name)
                continue
            }
            used.insert(file)
            let logical = Self.logical(tensor, for: parameter, axes: state.axes)
            if logical.shape == parameter.shape {
                result[parameter.name] = Self.real(logical)
            } else {
                report.mismatched.append(
                    .init(name: parameter.name, expected: parameter.shape, found: logical.shape))
            }
        }
        report.unexpected = state.tensors.keys.filter {
            !used.contains($0) && !$0.hasSuffix("num_batches_tracked")
        }
        return (result, report)
    }

    /// `a/a/kernel:0` is `a/kernel`: the names that Keras' containers wrap.
    func canonical(_ name: String) -> String {
        guard naming == .keras else { return name }
        var name = Substring(name)
        if name.hasSuffix(":0") { name = name.dropLast(2) }
        let parts = name.split(separator: "/")
        if let last = parts.last, last.lowercased().hasPrefix("variable"),
            last.dropFirst(8).allSatisfy({ $0 == "_" || $0.isNumber })
        {
            return (parts.dropLast() + ["variable"]).joined(separator: "/")
        }
        if parts.count == 3, parts[0] == parts[1] { return parts[1...].joined(separator: "/") }
        return String(name)
    }

    /// The names under which files hold a parameter.
    private func spellings(of parameter: Parameter) -> [String] {
        let name = parameter.name
        switch parameter.role {
        case .depthwiseKernel where name.hasSuffix("/depthwise_kernel"):
            return [name, name.dropLast("depthwise_kernel".count) + "kernel"]
        case .kernel where name.hasSuffix("/kernel"):
            return [name, name.dropLast("kernel".count) + "depthwise_kernel"]
        case .scale where name.hasSuffix("_layer_scale/gamma"):
            // Keras' layer scale gives its weight no name; `.weights.h5` has it as variable 0.
            let layer = name.dropLast("gamma".count)
            return [name, layer + "variable", layer + "0"]
        case .kernel, .depthwiseKernel, .matrix, .bias, .scale, .shift, .runningMean,
            .runningVariance, .count, .value, .constant:
            return [name]
        }
    }

    /// Floating-point numbers as they are, so that a conversion keeps their type; others as such.
    private static func real(_ tensor: LazyTensor) -> LazyTensor {
        tensor.dtype.isFloatingPoint ? tensor : tensor.converted(to: .f32)
    }

    /// A tensor of a file with its axes in logical order: OIHW, (C·M)1HW, (out, in).
    static func logical(
        _ tensor: LazyTensor, for parameter: Parameter, axes: AxisConvention
    ) -> LazyTensor {
        var tensor = tensor
        if axes == .keras {
            switch (parameter.role, tensor.shape.rank) {
            case (.kernel, 4), (.matrix, 4): tensor = tensor.permuted([3, 2, 0, 1])
            case (.depthwiseKernel, 4):
                let (c, m) = (tensor.shape[2], tensor.shape[3])
                tensor = tensor.permuted([2, 3, 0, 1])
                let (outputs, overflow) = c.multipliedReportingOverflow(by: m)
                if !overflow {
                    tensor = tensor.reshaped([outputs, 1, tensor.shape[2], tensor.shape[3]])
                }
            case (.kernel, 2), (.matrix, 2): tensor = tensor.permuted([1, 0])
            default: break
            }
        }
        if axes == .tflite, tensor.shape.rank == 4 {
            let isDepthwise = parameter.role == .depthwiseKernel
            tensor = tensor.permuted(isDepthwise ? [3, 0, 1, 2] : [0, 3, 1, 2])
        }
        // A 1 × 1 convolution and a linear layer hold the same numbers.
        let shape = tensor.shape
        let target = parameter.shape
        if shape.rank == 4, shape[2] == 1, shape[3] == 1, target == [shape[0], shape[1]] {
            return tensor.reshaped(target)
        }
        // torchvision's layer scale is (C, 1, 1).
        if parameter.role == .scale, shape.rank > 1,
            shape.dimensions.filter({ $0 != 1 })
                == target.dimensions.filter({ $0 != 1 })
        {
            return tensor.reshaped(target)
        }
        if shape.rank == 2, target == [shape[0], shape[1], 1, 1] { return tensor.reshaped(target) }
        return tensor
    }

    /// Keras' own way with its older files: layers that have weights, zipped in `model.layers`
    /// order whatever they are called. Only if every shape fits.
    private func bindByPosition(_ state: StateDict) -> StateDict? {
        let ordered = kerasOrder().flatMap { nodes[$0].parameters }
        guard ordered.count == state.tensors.count, !ordered.isEmpty else { return nil }
        var found: [String: LazyTensor] = [:]
        for (parameter, tensor) in zip(ordered, state.tensors.values) {
            let logical = Self.logical(tensor, for: parameter, axes: state.axes)
            guard logical.shape == parameter.shape else { return nil }
            found[parameter.name] = Self.real(logical)
        }
        var result = StateDict(metadata: state.metadata, axes: .torch)
        for parameter in parameters { result[parameter.name] = found[parameter.name] }
        return result
    }

    /// The nodes in the order of Keras' `model.layers`.
    func kerasOrder() -> [Int] {
        Graph.kerasOrder(nodes.map(\.inputs), output: output, sharesLayer: sharesLayer)
    }

    /// The order of Keras' `model.layers` for nodes that read `inputs`: by depth from the output,
    /// the deepest first, and among equals as a walk back from the output finishes them.
    /// `sharesLayer` says whether an input and its reader are two nodes of one layer of Keras.
    public static func kerasOrder(
        _ inputs: [[Int]], output: Int,
        sharesLayer: (_ input: Int, _ reader: Int) -> Bool = { _, _ in false }
    ) -> [Int] {
        var depth = [Int](repeating: 0, count: inputs.count)
        for index in inputs.indices.reversed() {
            for input in inputs[index] {
                depth[input] = Swift.max(
                    depth[input], depth[index] + (sharesLayer(input, index) ? 0 : 1))
            }
        }
        var rank = [Int](repeating: -1, count: inputs.count)
        var next = 0
        var stack: [(node: Int, input: Int)] = []
        for root in [output] + Array(inputs.indices) where rank[root] < 0 {
            stack.append((root, 0))
            while let (node, input) = stack.last {
                if input < inputs[node].count {
                    stack[stack.count - 1].input += 1
                    let from = inputs[node][input]
                    if rank[from] < 0 { stack.append((from, 0)) }
                } else {
                    stack.removeLast()
                    if rank[node] < 0 {
                        rank[node] = next
                        next += 1
                    }
                }
            }
        }
        return inputs.indices.sorted {
            depth[$0] != depth[$1] ? depth[$0] > depth[$1] : rank[$0] < rank[$1]
        }
    }
}
