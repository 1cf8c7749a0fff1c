// Pools over any number of axes, in ONNX.

import GraftNetworks
import GraftTensors

extension Op.PoolAxes: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        let type =
            switch function {
            case .maximum: "MaxPool"
            case .average, .averageOfPadded: "AveragePool"
            case .sum: "LpPool"
            }
        guard function != .sum, !countsColumnsFirst else {
            throw site.fail(.beyond(.sumOfWindows))
        }
        var attributes: ONNXGraph.Attributes = [
            "kernel_shape": .integers(kernel), "strides": .integers(strides),
            "pads": .integers(before + after), "dilations": .integers(dilations),
        ]
        if function == .averageOfPadded { attributes.append(1, named: "count_include_pad") }
        // The last windows may reach over what is after the last element.
        let whole = sizes.indices.allSatisfy { axis in
            let span = dilations[axis] * (kernel[axis] - 1) + 1
            let room = site.before[axis + 2] + before[axis] + after[axis] - span
            return room / strides[axis] + 1 == sizes[axis]
        }
        if !whole { attributes.append(1, named: "ceil_mode") }
        return graph.emit(type, at: site, attributes: attributes)
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }

    /// `MaxPool`: by a primitive where it is over maps and places are not asked for.
    static func readONNXMaximum(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> [ONNXValue] {
        let x = try reader.operand(of: node)
        let isDilated = (node.integers("dilations") ?? []).contains { $0 != 1 }
        let roundsUp = node.integer("ceil_mode", or: 0) != 0
        if reader.shape(of: x).rank == 4, node.outputCount == 1, !isDilated,
            !(roundsUp && reader.feed != nil)
        {
            return [.node(try Op.MaxPool.readONNX(node, in: &reader))]
        }
        let index = try read(.maximum, of: node, in: &reader)
        if node.outputCount == 1 { return [.node(index)] }
        return [.node(index), .node(try reader.output(1, of: index, for: node))]
    }

    /// `AveragePool`: by a primitive where it is over maps and rounds down.
    static func readONNXAverage(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        let counts = node.integer("count_include_pad", or: 0) != 0
        let roundsUp = node.integer("ceil_mode", or: 0) != 0
        let isDilated = (node.integers("dilations") ?? []).contains { $0 != 1 }
        if reader.shape(of: x).rank == 4, !isDilated, !(roundsUp && (counts || reader.feed != nil))
        {
            return try Op.AveragePool.readONNX(node, in: &reader)
        }
        return try read(counts ? .averageOfPadded : .average, of: node, in: &reader)
    }

    /// `LpPool`: the root of a sum of powers.
    static func readONNXNorm(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        let power = Float(node.integer("p", or: 2))
        let size = try reader.apply("Abs", to: node.inputs[0], for: node)
        let raised = try reader.apply("Pow", to: size, .number(power), for: node)
        var inputs = node.inputs
        inputs[0] = raised
        let sum = try read(
            .sum, of: ONNXNode(proto: node.proto, opset: node.opset, inputs: inputs), in: &reader)
        return try reader.apply("Pow", to: .node(sum), .number(1 / power), for: node)
    }

    /// `GlobalLpPool`.
    static func readONNXGlobalNorm(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let power = Float(node.integer("p", or: 2))
        let rank = try reader.shape(of: try node.value(), for: node).rank
        let size = try reader.apply("Abs", to: node.inputs[0], for: node)
        let raised = try reader.apply("Pow", to: size, .number(power), for: node)
        let sum = try reader.apply("ReduceSum", to: raised, .integers(Array(2..<rank)), for: node)
        return try reader.apply("Pow", to: sum, .number(1 / power), for: node)
    }

    private static func read(
        _ function: Function, of node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        let x = try reader.operand(of: node)
        let sizes = Array(reader.shape(of: x).dimensions.dropFirst(2))
        let windows = try ONNXWindows(
            node, kernel: node.integers("kernel_shape") ?? [], over: sizes)
        let counts = try windows.counts(
            over: sizes, roundsUp: node.integer("ceil_mode", or: 0) != 0, node: node)
        return try reader.emit(
            .poolAxes(
                Op.PoolAxes(
                    function: function, kernel: windows.kernel, strides: windows.strides,
                    dilations: windows.dilations, before: windows.before, after: windows.after,
                    sizes: counts,
                    countsColumnsFirst: node.integer("storage_order", or: 0) != 0)),
            for: node, reading: [x])
    }

    /// `MaxUnpool`: the numbers at the places where a pool found them, zeros elsewhere.
    static func readONNXUnpooling(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let x = try node.value()
        let shape = try reader.shape(of: x, for: node)
        let sizes = Array(shape.dimensions.dropFirst(2))
        let windows = try ONNXWindows(
            node, kernel: node.integers("kernel_shape") ?? [], over: sizes)
        var target = shape.dimensions
        for axis in sizes.indices {
            target[axis + 2] =
                (sizes[axis] - 1) * windows.strides[axis] - windows.before[axis]
                - windows.after[axis] + windows.kernel[axis]
        }
        guard let count = Shape(target).checkedCount, 1...ONNXConstants.maximumCount ~= count else {
            throw node.fail(.excess(.values, limit: ONNXConstants.maximumCount))
        }
        try reader.spend(count, on: node)
        let zeros = ONNXValue.numbers([Float](repeating: 0, count: count), shape: [count])
        let flat = try reader.apply(
            "ScatterElements", to: zeros,
            try reader.reshape(try node.value(at: 1), to: [-1], for: node),
            try reader.reshape(x, to: [-1], for: node), for: node)
        let map = try reader.reshape(flat, to: target, for: node)
        guard let given = try node.integers(at: 2) else { return map }
        guard given.count == target.count, zip(given, target).allSatisfy({ $0 >= $1 }) else {
            throw node.fail(.unfit(.outputShape, [Shape(target), Shape(given)]))
        }
        let amounts = given.map { _ in 0 } + zip(given, target).map { $0 - $1 }
        return try reader.apply("Pad", to: map, .integers(amounts), for: node)
    }

    /// `Col2Im`: the sum of blocks at the places where they were cut out.
    static func readONNXBlocks(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        guard let image = try node.integers(at: 1), let block = try node.integers(at: 2),
            image.count == block.count
        else { throw node.fail(.missing(.sizes)) }
        let x = try node.value()
        let shape = try reader.shape(of: x, for: node)
        let windows = try ONNXWindows(node, kernel: block, over: image)
        let counts = try windows.counts(over: image, roundsUp: false, node: node)
        let (size, places) = (block.reduce(1, *), counts.reduce(1, *))
        guard shape.rank == 3, shape[1] % size == 0, shape[2] == places,
            let area = Shape(image).checkedCount,
            area <= ONNXConstants.maximumCount, size * places <= ONNXConstants.maximumCount
        else { throw node.fail(.unfit(.blocks, [shape])) }
        try reader.spend(size * places + area, on: node)
        // Where each element of each block lies; one more place takes what lies outside.
        var indices: [Int] = []
        for element in 0..<size {
            for place in 0..<places {
                var (inner, outer, at, stride) = (element, place, 0, 1)
                var isInside = true
                for axis in image.indices.reversed() {
                    let index =
                        outer % counts[axis] * windows.strides[axis] - windows.before[axis]
                        + inner % block[axis] * windows.dilations[axis]
                    outer /= counts[axis]
                    inner /= block[axis]
                    isInside = isInside && 0..<image[axis] ~= index
                    at += index * stride
                    stride *= image[axis]
                }
                indices.append(isInside ? at : area)
            }
        }
        let channels = shape[1] / size
        let rows = shape[0] * channels
        let blocks = try reader.reshape(x, to: [rows, size * places], for: node)
        let zeros = try reader.apply(
            "Expand", to: .numbers([0], shape: [1, 1]), .integers([rows, area + 1]), for: node)
        let names = try reader.apply(
            "Expand", to: .integers(indices, shape: [1, size * places]),
            .integers([rows, size * places]), for: node)
        let sum = try reader.apply(
            "ScatterElements", to: zeros, names, blocks, with: ["axis": 1, "reduction": "add"],
            for: node)
        let kept = try reader.slice(sum, axis: 1, from: 0, to: area, for: node)
        return try reader.reshape(kept, to: [shape[0], channels] + image, for: node)
    }
}
