// Some of the channels, and parts of maps, in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.Slice: ExportableOp {
    var keepsIntegers: Bool { true }

    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        // Before the first element lies, for a step back, what is before the whole.
        let last = start + (count - 1) * step
        let end = step > 0 ? last + 1 : last > 0 ? last - 1 : Int(Int32.min)
        let bounds = [
            graph.constant([start], name: site.name + ".start"),
            graph.constant([end], name: site.name + ".end"),
            graph.constant([axis], name: site.name + ".axis"),
            graph.constant([step], name: site.name + ".step"),
        ]
        return graph.emit("Slice", at: site, more: bounds)
    }

    /// Keras crops rows and columns: the channels become rows for it.
    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        let shape = site.before
        guard shape.rank == 4, axis == 1, step == 1 else {
            throw site.unsupported("this part of \(shape)")
        }
        let turned = model.layer(
            "Permute", at: site, suffix: "_permute",
            shape: [shape[0], shape[3], shape[1], shape[2]], config: ["dims": [3, 1, 2]])
        let cut = model.layer(
            "Cropping2D", at: site, suffix: "_crop", reading: [turned],
            shape: [shape[0], shape[3], count, shape[2]],
            config: [
                "cropping": [.integers([start, shape[1] - start - count]), [0, 0]],
                "data_format": "channels_last",
            ])
        return model.layer("Permute", at: site, reading: [cut], config: ["dims": [2, 3, 1]])
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { inputs.allSatisfy(\.self) }

    /// Some channels, a part of the map, or elements of any axis.
    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        var x = try reader.operand(of: node)
        let shape = reader.builder.shapes[x]
        let cuts = try node.cuts(of: shape)
        if reader.feed != nil, cuts.contains(where: { $0.count == 0 }) {
            var left = shape
            for cut in cuts { left[cut.axis] = cut.count }
            return .numbers([], shape: left)
        }
        var crop = Padding.zero
        for cut in cuts where !cut.isWhole(of: shape[cut.axis]) {
            guard cut.count > 0 else { throw node.fail("it cuts out nothing") }
            let isCrop = shape.rank == 4 && cut.step == 1
            switch cut.axis {
            case 2 where isCrop:
                crop.top = -cut.start
                crop.bottom = cut.start + cut.count - shape[2]
            case 3 where isCrop:
                crop.left = -cut.start
                crop.right = cut.start + cut.count - shape[3]
            default:
                x = try reader.emit(
                    .slice(start: cut.start, count: cut.count, axis: cut.axis, step: cut.step),
                    for: node, reading: [x],
                    suffix: cut.axis == 1 ? ".channels" : ".axis\(cut.axis)")
            }
        }
        return .node(
            crop == .zero
                ? x : try reader.emit(.pad(crop, value: 0), for: node, reading: [x]))
    }

    /// An axis in parts.
    static func readONNXSplit(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> [ONNXValue] {
        let x = try reader.operand(of: node)
        let shape = reader.builder.shapes[x]
        let axis = try node.axis(node.integer("axis", or: 0), rank: shape.rank)
        let sizes = try node.parts(of: shape[axis])
        var start = 0
        return try sizes.enumerated().map { index, size in
            defer { start += size }
            guard size > 0 else {
                guard reader.feed != nil else { throw node.fail(.beyond(.nothingLeft)) }
                var part = shape
                part[axis] = 0
                return .numbers([], shape: part)
            }
            return .node(
                try reader.emit(
                    .slice(start: start, count: size, axis: axis), for: node, reading: [x],
                    suffix: ".part\(index)"))
        }
    }

    /// A part of a map by `x[…]`: `x[..., ::-1]`, `x[:, 2:-2, 2:-2]`, `x[..., 0]`.
    static func readKerasItem(_ call: KerasCall, in reader: inout KerasReader) throws -> Int? {
        let shape = call.shape
        let misfit = call.fail("graft does not know how to take this part of \(shape)")
        let specification = call.setting("slice_spec") ?? call.setting("key") ?? .null
        guard shape.rank == 4 || shape.rank == 2,
            let parts = KerasPart.parts(specification, rank: shape.rank)
        else { throw misfit }
        // Keras' extents: the batch of any size, then height, width, channels.
        let extents = shape.rank == 4 ? [0, shape[2], shape[3], shape[1]] : [0, shape[1]]
        var crop = Padding.zero
        for axis in 0..<(shape.rank - 1) {
            let part = try KerasPart(parts[axis], extent: extents[axis], of: call)
            guard part.step == 1, axis > 0 || part.range == nil else { throw misfit }
            guard axis > 0, let range = part.range else { continue }
            guard !range.isEmpty, reader.hasFixedSize else { throw misfit }
            if axis == 1 {
                crop.top = range.lowerBound
                crop.bottom = extents[axis] - range.upperBound
            } else {
                crop.left = range.lowerBound
                crop.right = extents[axis] - range.upperBound
            }
        }
        let x = crop == .zero ? call.x : try reader.crop(call, by: crop, suffix: "_crop")
        let channels = shape[1]
        guard let last = parts.last else { throw misfit }
        if let index = last.integer {
            let place = index < 0 ? index + channels : index
            guard (0..<channels).contains(place), shape.rank == 4 else { throw misfit }
            let plane = try reader.add(
                .slice(start: place, count: 1), for: call, reading: [x])
            reader.planes.insert(plane)
            return plane
        }
        let part = try KerasPart(last, extent: channels, of: call)
        if part.step == -1, part.range == nil {
            return try reversed(x, for: call, in: &reader)
        }
        guard part.step == 1 else { throw misfit }
        guard let range = part.range, range != 0..<channels else { return x }
        guard !range.isEmpty else { throw misfit }
        return try reader.add(
            .slice(start: range.lowerBound, count: range.count), for: call, reading: [x])
    }

    /// The functions `flip` and `reverse` over the channels.
    static func readKerasFlip(_ call: KerasCall, in reader: inout KerasReader) throws -> Int? {
        guard call.isOverChannels else { return nil }
        return try reversed(call.x, for: call, in: &reader)
    }

    /// The largest number of channels whose order is reversed: each becomes a node.
    private static let maximumReversedCount = 16

    /// The channels of node `x` in the opposite order.
    private static func reversed(
        _ x: Int, for call: KerasCall, in reader: inout KerasReader
    ) throws -> Int {
        let channels = reader.builder.shapes[x][1]
        guard channels <= maximumReversedCount else {
            throw call.fail("it reverses \(channels) channels")
        }
        guard channels > 1 else { return x }
        let parts = try (0..<channels).reversed().map { channel in
            try reader.add(
                .slice(start: channel, count: 1), for: call, suffix: "_\(channel)", reading: [x])
        }
        return try reader.add(.concatenate, for: call, reading: parts)
    }
}

/// The elements that `Slice` keeps of an axis.
struct ONNXCut {
    let axis: Int
    let start: Int
    let count: Int
    let step: Int

    /// Whether it keeps all of an axis of this size as it is.
    func isWhole(of size: Int) -> Bool { step == 1 && start == 0 && count == size }
}

extension ONNXNode {
    /// What `Slice` keeps of each axis that it names.
    func cuts(of shape: Shape) throws -> [ONNXCut] {
        guard let starts = try integers("starts", orAt: 1),
            let ends = try integers("ends", orAt: 2),
            starts.count == ends.count, starts.count <= shape.rank
        else { throw fail("it does not say what it cuts out") }
        let axes = try integers("axes", orAt: 3) ?? Array(starts.indices)
        let steps = try integers(at: 4) ?? starts.map { _ in 1 }
        guard axes.count == starts.count, steps.count == starts.count,
            steps.allSatisfy({ $0 != 0 && $0 != .min })
        else { throw fail("its axes or steps are not one for each start") }
        return try starts.indices.map { place in
            let axis = try self.axis(axes[place], rank: shape.rank)
            let (size, step) = (shape[axis], steps[place])
            func bound(_ value: Int, _ range: ClosedRange<Int>) -> Int {
                min(max(value < 0 ? value + size : value, range.lowerBound), range.upperBound)
            }
            guard step < 0 else {
                let start = bound(starts[place], 0...size)
                let end = bound(ends[place], 0...size)
                let count = end > start ? (end - start - 1) / step + 1 : 0
                return ONNXCut(axis: axis, start: start, count: count, step: step)
            }
            let start = bound(starts[place], -1...(size - 1))
            // An end before the first element is −1 after counting from the end.
            let end = ends[place] < -size ? -1 : bound(ends[place], -1...(size - 1))
            let count = start > end ? (start - end - 1) / -step + 1 : 0
            return ONNXCut(axis: axis, start: max(start, 0), count: count, step: step)
        }
    }
}

/// The part that `x[…]` takes of one axis.
private struct KerasPart {
    /// The places that it takes; nil for all.
    let range: Range<Int>?
    let step: Int

    /// One part for each axis of a value of this rank; nil if they do not fit.
    static func parts(_ specification: JSONTree, rank: Int) -> [JSONTree]? {
        var parts = specification.array ?? [specification]
        let full: JSONTree = ["start": nil, "stop": nil, "step": nil]
        if let dots = parts.firstIndex(where: { $0["class_name"]?.string == "__ellipsis__" }) {
            guard parts.count - 1 <= rank else { return nil }
            parts.replaceSubrange(
                dots...dots, with: Array(repeating: full, count: rank - parts.count + 1))
        }
        guard parts.count <= rank else { return nil }
        return parts + Array(repeating: full, count: rank - parts.count)
    }

    /// The slice of an axis of this extent.
    init(_ slice: JSONTree, extent: Int, of call: KerasCall) throws {
        let parts = slice["config"] ?? slice
        guard case .object = parts else {
            throw call.fail("graft does not know how to index an axis but the last")
        }
        func bound(_ key: String) throws -> Int? {
            guard let value = parts[key], value != .null else { return nil }
            guard let number = value.integer, number.magnitude <= 1 << 30 else {
                throw call.fail("its `\(key)` is not a whole number")
            }
            return number
        }
        let start = try bound("start")
        let stop = try bound("stop")
        step = try bound("step") ?? 1
        guard start != nil || stop != nil else {
            range = nil
            return
        }
        guard step == 1 else {
            throw call.fail("graft does not know slices with a step of \(step)")
        }
        func place(_ bound: Int) -> Int { min(max(bound < 0 ? bound + extent : bound, 0), extent) }
        let first = place(start ?? 0)
        let last = place(stop ?? extent)
        range = start ?? 0 == 0 && stop == nil ? nil : first..<max(first, last)
    }
}
