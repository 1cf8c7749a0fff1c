// What moves, joins, cuts, resizes and reduces values, as steps of TFLite.

import GraftNetworks
import GraftTensors

extension Op.Input {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        throw site.unsupported(.secondInput)
    }
}

extension Op.Dropout {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) -> [TFLiteGraph.Value] {
        [graph.value(of: site.x)]
    }
}

extension Op.DropPath {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) -> [TFLiteGraph.Value] {
        [graph.value(of: site.x)]
    }
}

extension Op.ParameterValue {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        guard let parameter = site.node.parameters.first else {
            throw site.unsupported(.noNumbers)
        }
        return [.plain(try graph.weight(parameter, shape: site.after.dimensions))]
    }
}

extension Op.Concatenate {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let (tensors, isLast) = try graph.operands(at: site)
        let own = axis < 0 ? axis + site.after.rank : axis
        let y = graph.emit(
            "CONCATENATION", reading: tensors, shape: graph.sizes(site.after, isLast: isLast),
            name: site.name, options: ["axis": graph.place(own, isLast: isLast), "activation": 0])
        return graph.result(y, isLast: isLast)
    }
}

extension Op.Slice {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        guard step > 0 else { throw site.unsupported(.backwards) }
        let (x, isLast) = try graph.either(site.x)
        let shape = graph.sizes(site.after, isLast: isLast)
        let place = graph.place(axis < 0 ? axis + site.after.rank : axis, isLast: isLast)
        var start = [Int](repeating: 0, count: shape.count)
        start[place] = self.start
        guard step > 1 else {
            return graph.result(
                graph.cut(x, from: start, to: shape, name: site.name), isLast: isLast)
        }
        var end = graph.shape(of: x)
        end[place] = self.start + (count - 1) * step + 1
        var steps = [Int](repeating: 1, count: shape.count)
        steps[place] = step
        let y = graph.emit(
            "STRIDED_SLICE",
            reading: [
                x, graph.constant(start, name: site.name + "/begin"),
                graph.constant(end, name: site.name + "/end"),
                graph.constant(steps, name: site.name + "/steps"),
            ], shape: shape, name: site.name,
            options: [
                "begin_mask": 0, "end_mask": place == 0 ? 0 : 1, "ellipsis_mask": 0,
                "new_axis_mask": 0, "shrink_axis_mask": 0,
            ])
        return graph.result(y, isLast: isLast)
    }
}

extension Op.Split {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let (x, isLast) = try graph.either(site.x)
        let place = graph.place(axis < 0 ? axis + site.before.rank : axis, isLast: isLast)
        var start = [Int](repeating: 0, count: site.before.rank)
        return site.results.enumerated().map { index, result in
            let part = graph.cut(
                x, from: start, to: graph.sizes(result, isLast: isLast),
                name: "\(site.name)/\(index)")
            start[place] += sizes[index]
            return graph.result(part, isLast: isLast)[0]
        }
    }
}

extension Op.Take {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let (x, isLast) = try graph.either(site.x)
        let place = graph.place(axis < 0 ? axis + site.before.rank : axis, isLast: isLast)
        let places = graph.constant(indices, name: site.name + "/places")
        let y = graph.emit(
            "GATHER", reading: [x, places], shape: graph.sizes(site.after, isLast: isLast),
            name: site.name, options: ["axis": place, "batch_dims": 0])
        return graph.result(y, isLast: isLast)
    }
}

extension Op.Flatten {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let x = try channelsLast ? graph.last(site.x) : graph.plain(site.x)
        return [.plain(graph.reshaped(x, to: site.after.dimensions, name: site.name))]
    }
}

extension Op.Reshape {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let x = try graph.plain(site.x)
        guard channelsLast else {
            return [.plain(graph.reshaped(x, to: site.after.dimensions, name: site.name))]
        }
        return [.last(graph.reshaped(x, to: site.afterLast, name: site.name))]
    }
}

extension Op.View {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let x = try graph.plain(site.x)
        return [.plain(graph.reshaped(x, to: site.after.dimensions, name: site.name))]
    }
}

extension Op.Transpose {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let (x, isLast) = try graph.either(site.x)
        let own = order.map { graph.place($0, isLast: isLast) }
        return [.plain(graph.transposed(x, to: own, name: site.name))]
    }
}

extension Op.Expand {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let sizes = graph.constant(site.after.dimensions, name: site.name + "/sizes")
        let y = graph.emit(
            "BROADCAST_TO", reading: [try graph.plain(site.x), sizes],
            shape: site.after.dimensions, name: site.name)
        return [.plain(y)]
    }
}

extension Op.ChannelShuffle {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let x = try graph.last(site.x)
        let shape = site.afterLast
        let parts = graph.reshaped(
            x, to: Array(shape[..<3]) + [groups, shape[3] / groups], name: site.name + "/groups")
        let turned = graph.transposed(parts, to: [0, 1, 2, 4, 3], name: site.name + "/turned")
        return [.last(graph.reshaped(turned, to: shape, name: site.name))]
    }
}

extension Op.Pad {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        var x = try graph.last(site.x)
        func amounts(_ sign: Int) -> Padding {
            Padding(
                top: max(sign * padding.top, 0), left: max(sign * padding.left, 0),
                bottom: max(sign * padding.bottom, 0), right: max(sign * padding.right, 0))
        }
        let (more, less) = (amounts(1), amounts(-1))
        if more != .zero { x = graph.padded(x, by: more, value: value, name: site.name) }
        let start = [0, less.top, less.left, 0]
        return [.last(graph.cut(x, from: start, to: site.afterLast, name: site.name + "/cut"))]
    }
}

extension Op.PadAxes {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let rank = site.before.rank
        guard (before + after).allSatisfy({ $0 >= 0 }) else {
            throw site.unsupported(.negativeBorder)
        }
        let (x, isLast) = try graph.either(site.x)
        var amounts = [Int](repeating: 0, count: 2 * rank)
        for axis in 0..<rank {
            let place = graph.place(axis, isLast: isLast)
            amounts[2 * place] = before[axis]
            amounts[2 * place + 1] = after[axis]
        }
        var inputs = [x, graph.constant(amounts, shape: [rank, 2], name: site.name + "/amounts")]
        let type: String
        switch mode {
        case .constant:
            type = "PADV2"
            inputs.append(graph.constant([value], shape: [1], name: site.name + "/value"))
        case .reflect: type = "MIRROR_PAD"
        case .edge, .wrap: throw site.unsupported(.border(mode.rawValue))
        }
        let y = graph.emit(
            type, reading: inputs, shape: graph.sizes(site.after, isLast: isLast),
            name: site.name, options: type == "MIRROR_PAD" ? ["mode": 0] : [:])
        return graph.result(y, isLast: isLast)
    }
}

extension Op.Upsample {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        try graph.resized(bilinear: bilinear, corners: false, centred: bilinear, at: site)
    }
}

extension Op.Resize {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let (before, after) = (site.before, site.after)
        if case .factors(let height, let width) = target,
            Double(before[2]) * height != Double(after[2])
                || Double(before[3]) * width != Double(after[3])
        {
            throw site.unsupported(.factors(height: height, width: width))
        }
        let isLarge = after[2] > 1 && after[3] > 1
        switch (mode, coordinates, rounding) {
        case (.linear, .halfPixel, _) where !antialiases && !excludesOutside,
            (.linear, .pytorchHalfPixel, _) where !antialiases && !excludesOutside && isLarge:
            return try graph.resized(bilinear: true, corners: false, centred: true, at: site)
        case (.linear, .asymmetric, _) where !antialiases && !excludesOutside:
            return try graph.resized(bilinear: true, corners: false, centred: false, at: site)
        case (.linear, .alignCorners, _) where !antialiases && isLarge:
            return try graph.resized(bilinear: true, corners: true, centred: false, at: site)
        case (.nearest, .asymmetric, .floor):
            return try graph.resized(bilinear: false, corners: false, centred: false, at: site)
        case (.nearest, .halfPixel, .roundPreferCeil):
            return try graph.resized(bilinear: false, corners: false, centred: true, at: site)
        default:
            throw site.unsupported(
                .rule(mode: mode.rawValue, coordinates: coordinates.rawValue))
        }
    }
}

extension TFLiteGraph {
    fileprivate mutating func resized(
        bilinear: Bool, corners: Bool, centred: Bool, at site: TFLiteSite
    ) throws -> [Value] {
        let shape = site.afterLast
        let sizes = constant([shape[1], shape[2]], name: site.name + "/sizes")
        let x = try last(site.x)
        let y = emit(
            bilinear ? "RESIZE_BILINEAR" : "RESIZE_NEAREST_NEIGHBOR", reading: [x, sizes],
            shape: shape, name: site.name,
            options: [
                "align_corners": corners ? 1 : 0, "half_pixel_centers": centred ? 1 : 0,
            ])
        return [.last(y)]
    }
}

extension Op.Reduce {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let (x, isLast) = try keepsAxes ? graph.either(site.x) : (graph.plain(site.x), false)
        let places = axes.map { graph.place($0, isLast: isLast) }
        let type =
            switch function {
            case .sum: "SUM"
            case .mean: "MEAN"
            case .maximum: "REDUCE_MAX"
            case .minimum: "REDUCE_MIN"
            case .product: "REDUCE_PROD"
            }
        let y = graph.emit(
            type, reading: [x, graph.constant(places, name: site.name + "/axes")],
            shape: graph.sizes(site.after, isLast: isLast), name: site.name,
            options: ["keep_dims": keepsAxes ? 1 : 0])
        return graph.result(y, isLast: isLast)
    }
}
