// Convolutions, products and pools as steps of TFLite.

import GraftNetworks
import GraftTensors

extension Op.Conv2d {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        guard let kernel = site.node.parameters.first else {
            throw site.unsupported(.noNumbers)
        }
        let (x, border) = graph.bordered(
            try graph.last(site.x), by: window, map: site.before, name: site.name)
        let isDepthwise = groups > 1 && groups == site.before[1]
        // (1, H, W, outputs) and (outputs, H, W, inputs).
        let weight = try graph.weight(kernel, order: isDepthwise ? [1, 2, 3, 0] : [0, 2, 3, 1])
        var options = [
            "padding": border.rawValue, "stride_w": window.stride.width,
            "stride_h": window.stride.height, "dilation_w": window.dilation.width,
            "dilation_h": window.dilation.height, "activation": 0,
        ]
        if isDepthwise { options["multiplier"] = outputs / groups }
        let y = graph.emit(
            isDepthwise ? "DEPTHWISE_CONV_2D" : "CONV_2D",
            reading: [x, weight, try graph.bias(at: site, count: outputs)],
            shape: site.afterLast, name: site.name, options: options)
        return [.last(y)]
    }
}

extension Op.ConvTranspose2d {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        guard let kernel = site.node.parameters.first, groups == 1, window.dilation == 1,
            case .explicit(let padding) = window.padding
        else { throw site.unsupported(.transposedGroups) }
        let x = try graph.last(site.x)
        let map = site.before
        func whole(_ size: Int, along axis: KeyPath<Extent, Int>) -> Int {
            (size - 1) * window.stride[keyPath: axis] + window.kernel[keyPath: axis]
                + outputPadding[keyPath: axis]
        }
        // All that the windows reach, of which the padding is cut off.
        let shape = [
            map[0], whole(map[2], along: \.height), whole(map[3], along: \.width), outputs,
        ]
        let sizes = graph.constant(shape, name: site.name + "/sizes")
        let weight = try graph.weight(kernel, order: [1, 2, 3, 0])
        let isWhole = padding == .zero
        let y = graph.emit(
            "TRANSPOSE_CONV",
            reading: [sizes, weight, x, try graph.bias(at: site, count: outputs)], shape: shape,
            name: isWhole ? site.name : site.name + "/whole",
            options: [
                "padding": TFLiteGraph.Border.valid.rawValue, "stride_w": window.stride.width,
                "stride_h": window.stride.height, "activation": 0,
            ])
        let start = [0, padding.top, padding.left, 0]
        return [.last(graph.cut(y, from: start, to: site.afterLast, name: site.name))]
    }
}

extension Op.Linear {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        guard let matrix = site.node.parameters.first else {
            throw site.unsupported(.noNumbers)
        }
        let x = try graph.plain(site.x)
        let y = graph.emit(
            "FULLY_CONNECTED",
            reading: [
                x, try graph.weight(matrix), try graph.bias(at: site, count: outputs),
            ], shape: site.after.dimensions, name: site.name,
            options: [
                "activation": 0, "weights_format": 0,
                "keep_num_dims": site.before.rank == 2 ? 0 : 1,
            ])
        return [.plain(y)]
    }
}

extension Op.MatMul {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        guard site.shapes.count == 2, site.shapes.allSatisfy({ $0.rank >= 2 }) else {
            throw site.unsupported(.vectors)
        }
        let y = graph.emit(
            "BATCH_MATMUL", reading: try site.node.reads.map { try graph.plain($0) },
            shape: site.after.dimensions, name: site.name,
            options: ["adj_x": transposesLeft ? 1 : 0, "adj_y": transposesRight ? 1 : 0])
        return [.plain(y)]
    }
}

extension TFLiteGraph {
    /// The bias of a node; zeros where it has none, which some delegates ask for.
    fileprivate mutating func bias(at site: TFLiteSite, count: Int) throws -> Int {
        if let bias = site.node.parameters.first(where: { $0.role == .bias }) {
            return try weight(bias)
        }
        return constant(
            [Float](repeating: 0, count: count), shape: [count], name: site.name + "/bias")
    }

    /// The options of a pool.
    fileprivate func options(of window: Window, _ border: Border) -> [String: Int] {
        [
            "padding": border.rawValue, "stride_w": window.stride.width,
            "stride_h": window.stride.height, "filter_w": window.kernel.width,
            "filter_h": window.kernel.height, "activation": 0,
        ]
    }
}

extension Window {
    /// The reach of the last windows beyond a map and its padding where incomplete ones count.
    fileprivate func excess(over map: Shape, to after: Shape) -> Padding {
        let padding = resolvedPadding(height: map[2], width: map[3])
        return Padding(
            top: 0, left: 0,
            bottom: max(
                0,
                (after[2] - 1) * stride.height + kernel.height - map[2] - padding.top
                    - padding.bottom),
            right: max(
                0,
                (after[3] - 1) * stride.width + kernel.width - map[3] - padding.left
                    - padding.right))
    }
}

extension Op.MaxPool {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        guard window.dilation == 1 else { throw site.unsupported(.dilatedPool) }
        let (x, border) = graph.bordered(
            try graph.last(site.x), by: window, map: site.before,
            more: window.excess(over: site.before, to: site.after),
            value: -Float.greatestFiniteMagnitude, name: site.name)
        let y = graph.emit(
            "MAX_POOL_2D", reading: [x], shape: site.afterLast, name: site.name,
            options: graph.options(of: window, border))
        return [.last(y)]
    }
}

extension Op.AveragePool {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        guard window.dilation == 1 else { throw site.unsupported(.dilatedPool) }
        let (map, after) = (site.before, site.after)
        let source = try graph.last(site.x)
        let padding = window.resolvedPadding(height: map[2], width: map[3])
        let more = window.excess(over: map, to: after)
        var usual = window
        usual.padding = .same
        let isUsual =
            more == .zero
            && (padding == .zero
                || !countsPadding
                    && padding == usual.resolvedPadding(height: map[2], width: map[3]))
        if isUsual {
            let y = graph.emit(
                "AVERAGE_POOL_2D", reading: [source], shape: site.afterLast, name: site.name,
                options: graph.options(of: window, padding == .zero ? .valid : .same))
            return [.last(y)]
        }
        // The mean with zeros around the map, times what a window has over what counts of it.
        var amounts = padding
        amounts.bottom += more.bottom
        amounts.right += more.right
        let x = graph.padded(source, by: amounts, value: 0, name: site.name + "/pad")
        let rows = counts(
            after[2], size: map[2], before: padding.top, after: padding.bottom, along: \.height)
        let columns = counts(
            after[3], size: map[3], before: padding.left, after: padding.right, along: \.width)
        let area = Float(window.kernel.height * window.kernel.width)
        let factors = rows.flatMap { row in columns.map { area / Float(row * $0) } }
        let isEven = factors.allSatisfy { $0 == 1 }
        let mean = graph.emit(
            "AVERAGE_POOL_2D", reading: [x], shape: site.afterLast,
            name: isEven ? site.name : site.name + "/mean",
            options: graph.options(of: window, .valid))
        guard !isEven else { return [.last(mean)] }
        let factor = graph.constant(
            factors, shape: [1, after[2], after[3], 1], name: site.name + "/factors")
        let y = graph.emit(
            "MUL", reading: [mean, factor], shape: site.afterLast, name: site.name)
        return [.last(y)]
    }

    /// The number of places of each window that count along an axis.
    private func counts(
        _ count: Int, size: Int, before: Int, after: Int, along axis: KeyPath<Extent, Int>
    ) -> [Int] {
        let low = countsPadding ? -before : 0
        let high = countsPadding ? size + after : size
        return (0..<count).map { index in
            let start = index * window.stride[keyPath: axis] - before
            return max(min(start + window.kernel[keyPath: axis], high) - max(start, low), 1)
        }
    }
}

extension Op.AdaptiveAveragePool {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let map = site.before
        guard map[2] % height == 0, map[3] % width == 0 else {
            throw site.unsupported(.unevenParts(height: height, width: width, of: map))
        }
        let size = Extent(map[2] / height, map[3] / width)
        guard size != 1 else { return [graph.value(of: site.x)] }
        let y = graph.emit(
            "AVERAGE_POOL_2D", reading: [try graph.last(site.x)], shape: site.afterLast,
            name: site.name, options: graph.options(of: Window(kernel: size, stride: size), .valid))
        return [.last(y)]
    }
}

extension Op.GlobalAveragePool {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        try graph.pooled("MEAN", keepsDimensions: keepsDimensions, at: site)
    }
}

extension Op.GlobalMaxPool {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        try graph.pooled("REDUCE_MAX", keepsDimensions: keepsDimensions, at: site)
    }
}

extension TFLiteGraph {
    fileprivate mutating func pooled(
        _ type: String, keepsDimensions: Bool, at site: TFLiteSite
    ) throws -> [Value] {
        let axes = constant([1, 2], name: site.name + "/axes")
        let x = try last(site.x)
        let y = emit(
            type, reading: [x, axes], shape: site.afterLast, name: site.name,
            options: ["keep_dims": keepsDimensions ? 1 : 0])
        return result(y, isLast: keepsDimensions)
    }
}
