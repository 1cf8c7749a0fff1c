// Resizing of any axes by any of ONNX's rules: a product with a matrix of weights along each.

import GraftNetworks
import GraftTensors

/// `Resize` where it is more than rows and columns of a map.
struct ONNXResizing {
    private let node: ONNXNode
    private let shape: Shape
    private let coordinates: String
    private let kernel: ResizeKernel
    private let extrapolation: Float
    private let region: [Double]
    /// The size of each axis, and the factor that coordinates use.
    private let sizes: [Int]
    private let factors: [Double]

    static func read(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        let x = try node.value()
        let resizing = try ONNXResizing(node, shape: try reader.shape(of: x, for: node))
        return try resizing.apply(to: x, in: &reader)
    }

    private init(_ node: ONNXNode, shape: Shape) throws {
        self.node = node
        self.shape = shape
        let isOld = node.type == "Upsample" || node.opset < 11
        coordinates =
            isOld ? "asymmetric" : node.text("coordinate_transformation_mode") ?? "half_pixel"
        let rounding = isOld ? "floor" : node.text("nearest_mode") ?? "round_prefer_floor"
        extrapolation = node.number("extrapolation_value", or: 0)
        guard let mode = Op.Resize.Mode(rawValue: node.text("mode") ?? "nearest"),
            [
                "half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners",
                "half_pixel_symmetric", "tf_crop_and_resize",
            ].contains(coordinates),
            let nearest = Op.Resize.foreignRoundings[rounding]
        else { throw node.fail(.unknown(.rule, coordinates)) }
        kernel = ResizeKernel(
            mode: mode, rounding: nearest, cubic: Double(node.number("cubic_coeff_a", or: -0.75)),
            excludesOutside: node.integer("exclude_outside", or: 0) != 0,
            antialiases: node.integer("antialias", or: 0) != 0)
        let axes =
            try node.integers("axes")?.map { try node.axis($0, rank: shape.rank) }
            ?? Array(0..<shape.rank)
        var sizes = shape.dimensions
        var factors = sizes.map { _ in 1.0 }
        let scales =
            try node.tensor(at: isOld ? 1 : 2)?.doubles
            ?? (node.numbers("scales") ?? []).map(Double.init)
        let wanted = try isOld ? nil : node.integers(at: 3)
        let limit = 1...Window.maximumExtent
        if let wanted, !wanted.isEmpty {
            guard wanted.count == axes.count, wanted.allSatisfy(limit.contains),
                shape.dimensions.allSatisfy(limit.contains)
            else { throw node.fail(.unfit(.sizes, [shape])) }
            for (axis, size) in zip(axes, wanted) {
                sizes[axis] = size
                factors[axis] = Double(size) / Double(shape[axis])
            }
            let policy = node.text("keep_aspect_ratio_policy") ?? "stretch"
            if policy != "stretch" {
                let all = axes.map { factors[$0] }
                let factor = (policy == "not_larger" ? all.min() : all.max()) ?? 1
                for axis in axes {
                    factors[axis] = factor
                    sizes[axis] = Int((factor * Double(shape[axis]) + 0.5).rounded(.down))
                }
            }
        } else {
            guard scales.count == axes.count, scales.allSatisfy({ $0 > 0 && $0.isFinite }) else {
                throw node.fail(.missing(.sizes))
            }
            for (axis, scale) in zip(axes, scales) {
                let size = (Double(shape[axis]) * scale).rounded(.down)
                guard size <= Double(Window.maximumExtent) else {
                    throw node.fail(.excess(.size, limit: Window.maximumExtent))
                }
                factors[axis] = scale
                sizes[axis] = Int(size)
            }
        }
        guard sizes.allSatisfy(limit.contains) else { throw node.fail(.beyond(.nothingLeft)) }
        var region = shape.dimensions.map { _ in 0.0 } + shape.dimensions.map { _ in 1.0 }
        if coordinates == "tf_crop_and_resize", let given = try node.tensor(at: 1)?.doubles {
            guard given.count == 2 * axes.count, given.allSatisfy(\.isFinite) else {
                throw node.fail(.unfit(.region, [shape]))
            }
            for (place, axis) in axes.enumerated() {
                region[axis] = given[place]
                region[axis + shape.rank] = given[place + axes.count]
            }
        }
        self.region = region
        self.sizes = sizes
        self.factors = factors
    }

    private func apply(to x: ONNXValue, in reader: inout ONNXReader) throws -> ONNXValue {
        var value = x
        var current = shape.dimensions
        var outside: [(axis: Int, isOutside: [Bool])] = []
        for axis in sizes.indices where needsWork(axis) {
            let (size, count) = (shape[axis], sizes[axis])
            let (cells, overflow) = size.multipliedReportingOverflow(by: count)
            guard !overflow, cells <= ONNXConstants.maximumCount else {
                throw node.fail(.excess(.size, limit: ONNXConstants.maximumCount))
            }
            try reader.spend(cells, on: node)
            var matrix = [Float](repeating: 0, count: cells)
            var isOutside = [Bool](repeating: false, count: count)
            for place in 0..<count {
                let at = coordinate(of: place, axis: axis)
                if coordinates == "tf_crop_and_resize", at < 0 || at > Double(size - 1) {
                    isOutside[place] = true
                    continue
                }
                for (sample, weight) in kernel.samples(around: at, of: size, by: factors[axis]) {
                    matrix[place * size + sample] += Float(weight)
                }
            }
            if isOutside.contains(true) { outside.append((axis, isOutside)) }
            let outer = current[..<axis].reduce(1, *)
            let inner = current[(axis + 1)...].reduce(1, *)
            let flat = try reader.reshape(value, to: [outer, size, inner], for: node)
            value = try reader.apply(
                "MatMul", to: .numbers(matrix, shape: [count, size]), flat, for: node)
            current[axis] = count
            value = try reader.reshape(value, to: current, for: node)
        }
        for (axis, isOutside) in outside {
            let line = current.indices.map { $0 == axis ? current[axis] : 1 }
            value = try reader.apply(
                "Where", to: .truths(isOutside, shape: Shape(line)), .number(extrapolation), value,
                for: node)
        }
        return value
    }

    private func needsWork(_ axis: Int) -> Bool {
        sizes[axis] != shape[axis] || factors[axis] != 1
            || region[axis] != 0 || region[axis + shape.rank] != 1
    }

    /// The coordinate in the input of a place of the result.
    private func coordinate(of index: Int, axis: Int) -> Double {
        let (place, size, factor) = (Double(index), Double(shape[axis]), factors[axis])
        let width = factor * size
        switch coordinates {
        case "align_corners": return width == 1 ? 0 : place * (size - 1) / (width - 1)
        case "asymmetric": return place / factor
        case "pytorch_half_pixel": return width == 1 ? -0.5 : (place + 0.5) / factor - 0.5
        case "half_pixel_symmetric":
            let adjustment = Double(sizes[axis]) / width
            return size / 2 * (1 - adjustment) + (place + 0.5) / factor - 0.5
        case "tf_crop_and_resize":
            let (start, end) = (region[axis], region[axis + shape.rank])
            let offset =
                width == 1
                ? (end - start) * (size - 1) / 2 : place * (end - start) * (size - 1) / (width - 1)
            return start * (size - 1) + offset
        default: return (place + 0.5) / factor - 0.5
        }
    }
}
