// TensorFlow's and Keras' functions on tensors, which a configuration holds as names and constants.

import GraftNetworks
import GraftTensors

/// Constants that a function is called with, and the last extent of their shape.
struct KerasConstant {
    let values: [Float]
    private let last: Int

    /// A number, or numbers in arrays of arrays; nil for anything else.
    init?(_ json: JSONTree) {
        if let number = json.scalar {
            (values, last) = ([Float(number)], 1)
            return
        }
        var row = json["config"]?["value"] ?? json["value"] ?? json
        guard let flat = KerasReader.flat(row, depth: 0), !flat.isEmpty else { return nil }
        for _ in 0..<8 {
            guard let first = row.array?.first, first.array != nil else { break }
            row = first
        }
        (values, last) = (flat, row.array?.count ?? 1)
    }

    /// One value, or one for each of `channels`.
    func spread(over channels: Int) -> [Float]? {
        if values.count == 1 { return values }
        return values.count == channels && last == channels ? values : nil
    }
}

extension KerasReader {
    /// What a function is called with, in order.
    enum Operand {
        /// The value at this place among those that are read.
        case value(Int)
        case constant(KerasConstant)
    }

    /// A function of Keras 3 or TensorFlow by one name; nil for a layer.
    static func operation(_ layer: KerasLayerConfig, hasConstants: Bool) -> String? {
        switch layer.kind {
        case "TFOpLambda", "SlicingOpLambda":
            var name = layer.config["function"]?.string ?? layer.name
            for prefix in [
                "tf.", "math.", "nn.", "__operators__.", "compat.v1.", "keras.activations.",
            ]
            where name.hasPrefix(prefix) {
                name.removeFirst(prefix.count)
            }
            return name
        case "Add", "Subtract", "Multiply", "Divide":
            return hasConstants ? layer.kind.lowercased() : nil
        case "TrueDivide", "GetItem", "Negative", "Cast", "Stack", "Flip", "Mean", "Max", "Amax",
            "Clip", "Maximum", "Minimum", "Power", "Square", "Relu", "Relu6", "Sigmoid", "Silu",
            "Tanh", "Elu", "Selu", "Softplus", "Exp", "HardSigmoid", "HardSilu", "HardTanh", "Mish",
            "LeakyRelu", "Gelu", "ExpandDims", "Resize", "StopGradient", "ConvertToTensor":
            // The layers `Maximum` and `Minimum` read values alone.
            return KerasExport.snake(layer.kind)
        default: return nil
        }
    }

    /// Adds the function `operation`; `options` are its arguments with a name.
    mutating func operate(
        _ operation: String, _ layer: KerasLayerConfig, _ name: String, _ inputs: [Int],
        _ operands: [Operand], _ options: JSONTree
    ) throws -> Int {
        guard let x = inputs.first else { throw layer.fail("it reads nothing") }
        func setting(_ key: String) -> JSONTree? { options[key] ?? layer.config[key] }
        let rank = builder.shapes[x].rank
        /// Axes as Keras counts them, from the front.
        func axes(_ key: String = "axis") -> [Int]? {
            let value = setting(key) ?? .null
            let list = value.array?.map(\.integer) ?? [value.integer]
            return list.contains(nil)
                ? nil : list.compactMap(\.self).map { $0 < 0 ? $0 + rank : $0 }
        }
        switch operation {
        case "add", "subtract", "sub", "multiply", "mul", "divide", "truediv", "true_divide",
            "div", "bias_add", "maximum", "minimum":
            if operands.count == 2 {
                return try binary(operation, layer, name, inputs, operands)
            }
        case "negative", "neg":
            return try builder.add(.affine(scale: [-1], shift: [0]), name: name, inputs: [x])
        case "square":
            return try builder.add(.multiply, name: name, inputs: [x, x])
        case "pow", "power":
            if operands.count == 2, case .value(0) = operands[0],
                case .constant(let exponent) = operands[1], exponent.values == [2]
            {
                return try builder.add(.multiply, name: name, inputs: [x, x])
            }
            throw layer.fail("graft raises to the power of 2 only")
        case "identity", "stop_gradient", "convert_to_tensor": return x
        case "cast":
            let type = setting("dtype")
            let text = type?.string ?? type?["config"]?["name"]?.string ?? "float32"
            guard text.contains("float") else {
                throw layer.fail("it converts to `\(text)`, which changes numbers")
            }
            return x
        case "clip", "clip_by_value":
            func bound(_ keys: [String], _ usual: Float) -> Float {
                for key in keys { if let number = setting(key)?.scalar { return Float(number) } }
                return usual
            }
            let low = bound(["clip_value_min", "x_min", "min_value"], -.infinity)
            let high = bound(["clip_value_max", "x_max", "max_value"], .infinity)
            guard low < high else { throw layer.fail("it clips to \(low) … \(high)") }
            return try builder.clipped(name, x, from: low, to: high)
        case "concat", "concatenate":
            guard axes() == [rank - 1] else { break }
            return try inputs.count == 1
                ? x : builder.add(.concatenate, name: name, inputs: inputs)
        case "getitem", "get_item", "strided_slice":
            return try item(of: x, layer, name, setting("slice_spec") ?? setting("key") ?? .null)
        case "stack":
            // Single channels, put together again.
            let axis = setting("axis")?.integer ?? 0
            guard axis == -1 || axis == 3, inputs.allSatisfy(planes.contains) else { break }
            return try inputs.count == 1
                ? x : builder.add(.concatenate, name: name, inputs: inputs)
        case "expand_dims":
            guard planes.contains(x), [-1, 3].contains(setting("axis")?.integer ?? 0) else { break }
            return try builder.add(.affine(scale: [1], shift: [0]), name: name, inputs: [x])
        case "flip", "reverse":
            guard axes() == [rank - 1] else { break }
            return try reversed(x, layer, name)
        case "reduce_mean", "mean", "reduce_max", "max", "amax":
            guard rank == 4, axes().map(Set.init) == [1, 2] else { break }
            let keeps = setting("keepdims")?.bool ?? false
            return try builder.add(
                operation.hasSuffix("mean")
                    ? .globalAveragePool(keepsDimensions: keeps)
                    : .globalMaxPool(keepsDimensions: keeps), name: name, inputs: [x])
        case "l2_normalize":
            guard axes() == [rank - 1] else { break }
            return try builder.add(.unitNorm, name: name, inputs: [x])
        case "softmax":
            guard (setting("axis") ?? .null) == .null || axes() == [rank - 1] else { break }
            return try builder.add(.softmax, name: name, inputs: [x])
        case "leaky_relu":
            let slope = setting("alpha") ?? setting("negative_slope")
            return try builder.leaky(name, x, Float(slope?.scalar ?? 0.2))
        case "gelu":
            // Keras 3 approximates by default, TensorFlow does not.
            let approximates = setting("approximate")?.bool ?? (layer.kind == "Gelu")
            return try activated(
                layer.with(activation: approximates ? "gelu_tanh" : "gelu"), name, x, suffix: "")
        case "exp":
            return try activated(layer.with(activation: "exponential"), name, x, suffix: "")
        case "relu", "relu6", "sigmoid", "silu", "swish", "tanh", "elu", "selu", "softplus",
            "hard_sigmoid", "hard_silu", "hard_tanh", "mish":
            return try activated(layer.with(activation: operation), name, x, suffix: "")
        case "image.resize", "resize":
            let interpolation = setting("method") ?? setting("interpolation")
            return try resized(
                x, layer, name, to: setting("size")?.array?.map { $0.integer ?? 0 } ?? [],
                by: interpolation?.string ?? "bilinear")
        default: break
        }
        throw layer.fail("graft does not know the operation `\(operation)` with these arguments")
    }

    /// A function of two operands, of which one may be a constant.
    private mutating func binary(
        _ operation: String, _ layer: KerasLayerConfig, _ name: String, _ inputs: [Int],
        _ operands: [Operand]
    ) throws -> Int {
        func affine(_ x: Int, _ scale: [Float], _ shift: [Float]) throws -> Int {
            guard (scale + shift).allSatisfy(\.isFinite) else {
                throw layer.fail("it computes with a constant that is 0 or not finite")
            }
            let count = max(scale.count, shift.count)
            func spread(_ values: [Float]) -> [Float] {
                values.count == count ? values : Array(repeating: values[0], count: count)
            }
            return try builder.add(
                .affine(scale: spread(scale), shift: spread(shift)), name: name, inputs: [x])
        }
        func constants(_ constant: KerasConstant, for x: Int) throws -> [Float] {
            guard let values = constant.spread(over: builder.shapes[x][1]) else {
                throw layer.fail(
                    "its constant has \(constant.values.count) numbers, expected 1 or one for each "
                        + "of \(builder.shapes[x][1]) channels")
            }
            return values
        }
        switch (operands[0], operands[1]) {
        case (.value(let a), .constant(let constant)):
            let x = inputs[a]
            let c = try constants(constant, for: x)
            switch operation {
            case "add", "bias_add": return try affine(x, [1], c)
            case "subtract", "sub": return try affine(x, [1], c.map { -$0 })
            case "multiply", "mul": return try affine(x, c, [0])
            case "maximum" where c.count == 1:
                return try builder.clipped(name, x, from: c[0], to: .infinity)
            case "minimum" where c.count == 1:
                return try builder.clipped(name, x, from: -.infinity, to: c[0])
            case "divide", "div", "truediv", "true_divide":
                return try affine(x, c.map { 1 / $0 }, [0])
            default: break
            }
        case (.constant(let constant), .value(let b)):
            let x = inputs[b]
            let c = try constants(constant, for: x)
            switch operation {
            case "add": return try affine(x, [1], c)
            case "subtract", "sub": return try affine(x, [-1], c)
            case "multiply", "mul": return try affine(x, c, [0])
            case "maximum" where c.count == 1:
                return try builder.clipped(name, x, from: c[0], to: .infinity)
            case "minimum" where c.count == 1:
                return try builder.clipped(name, x, from: -.infinity, to: c[0])
            default: break
            }
        case (.value(let a), .value(let b)):
            let (x, y) = (inputs[a], inputs[b])
            switch operation {
            case "add": return try builder.add(.add, name: name, inputs: [x, y])
            case "multiply", "mul": return try builder.add(.multiply, name: name, inputs: [x, y])
            case "subtract", "sub":
                let negative = try builder.add(
                    .affine(scale: [-1], shift: [0]), name: name + "_negative", inputs: [y])
                return try builder.add(.add, name: name, inputs: [x, negative])
            default: break
            }
        case (.constant, .constant): break
        }
        throw layer.fail("graft does not know the operation `\(operation)` on these operands")
    }

    /// A part of a map: `x[..., ::-1]`, `x[:, 2:-2, 2:-2]`, `x[..., 0]`.
    private mutating func item(
        of x: Int, _ layer: KerasLayerConfig, _ name: String, _ specification: JSONTree
    ) throws -> Int {
        let shape = builder.shapes[x]
        func fail() -> ArchitectureError {
            layer.fail("graft does not know how to take this part of \(shape)")
        }
        guard shape.rank == 4 || shape.rank == 2 else { throw fail() }
        var parts = specification.array ?? [specification]
        let full: JSONTree = ["start": nil, "stop": nil, "step": nil]
        if let dots = parts.firstIndex(where: { $0["class_name"]?.string == "__ellipsis__" }) {
            guard parts.count - 1 <= shape.rank else { throw fail() }
            parts.replaceSubrange(
                dots...dots,
                with: Array(repeating: full, count: shape.rank - parts.count + 1))
        }
        guard parts.count <= shape.rank else { throw fail() }
        while parts.count < shape.rank { parts.append(full) }
        // Keras' extents: the batch of any size, then height, width, channels.
        let extents = shape.rank == 4 ? [0, shape[2], shape[3], shape[1]] : [0, shape[1]]
        var crops: [(before: Int, after: Int)] = []
        for axis in 0..<(shape.rank - 1) {
            let (range, step) = try range(parts[axis], of: extents[axis], layer)
            if axis == 0 {
                guard range == nil, step == 1 else { throw fail() }
                continue
            }
            guard step == 1 else { throw fail() }
            let kept = range ?? 0..<extents[axis]
            guard kept.isEmpty == false, hasFixedSize || range == nil else { throw fail() }
            crops.append((kept.lowerBound, extents[axis] - kept.upperBound))
        }
        var value = x
        if crops.contains(where: { $0.before != 0 || $0.after != 0 }) {
            let crop = Padding(
                top: -crops[0].before, left: -crops[1].before, bottom: -crops[0].after,
                right: -crops[1].after)
            value = try builder.add(.pad(crop, value: 0), name: name + "_crop", inputs: [x])
        }
        let channels = extents[shape.rank - 1]
        guard let last = parts.last else { throw fail() }
        if let index = last.integer {
            let place = index < 0 ? index + channels : index
            guard (0..<channels).contains(place), shape.rank == 4 else { throw fail() }
            let plane = try builder.add(
                .slice(start: place, count: 1), name: name, inputs: [value])
            planes.insert(plane)
            return plane
        }
        let (range, step) = try range(last, of: channels, layer)
        if step == -1, range == nil { return try reversed(value, layer, name) }
        guard step == 1, let range, range != 0..<channels else {
            guard step == 1 else { throw fail() }
            return value
        }
        guard !range.isEmpty else { throw fail() }
        return try builder.add(
            .slice(start: range.lowerBound, count: range.count), name: name, inputs: [value])
    }

    /// The places that a slice takes, nil for all, and its step.
    private func range(_ slice: JSONTree, of extent: Int, _ layer: KerasLayerConfig) throws -> (
        Range<Int>?, step: Int
    ) {
        let parts = slice["config"] ?? slice
        guard case .object = parts else {
            throw layer.fail("graft does not know how to index an axis but the last")
        }
        func bound(_ key: String) throws -> Int? {
            guard let value = parts[key], value != .null else { return nil }
            guard let number = value.integer, number.magnitude <= 1 << 30 else {
                throw layer.fail("its `\(key)` is not a whole number")
            }
            return number
        }
        let (start, stop, step) = (try bound("start"), try bound("stop"), try bound("step") ?? 1)
        if start == nil, stop == nil { return (nil, step) }
        guard step == 1 else {
            throw layer.fail("graft does not know slices with a step of \(step)")
        }
        func place(_ bound: Int) -> Int { min(max(bound < 0 ? bound + extent : bound, 0), extent) }
        let (first, last) = (place(start ?? 0), place(stop ?? extent))
        if start ?? 0 == 0, stop == nil { return (nil, 1) }
        return (first..<max(first, last), 1)
    }

    /// The channels in the opposite order.
    private mutating func reversed(_ x: Int, _ layer: KerasLayerConfig, _ name: String) throws
        -> Int
    {
        let channels = builder.shapes[x][1]
        guard channels <= 16 else { throw layer.fail("it reverses \(channels) channels") }
        guard channels > 1 else { return x }
        var parts: [Int] = []
        for channel in (0..<channels).reversed() {
            parts.append(
                try builder.add(
                    .slice(start: channel, count: 1), name: "\(name)_\(channel)", inputs: [x]))
        }
        return try builder.add(.concatenate, name: name, inputs: parts)
    }

    /// A map of another size: the same, or one that is larger by whole factors.
    mutating func resized(
        _ x: Int, _ layer: KerasLayerConfig, _ name: String, to size: [Int],
        by interpolation: String
    ) throws -> Int {
        let shape = builder.shapes[x]
        guard shape.rank == 4, size.count == 2, size.allSatisfy({ (1...65536).contains($0) }) else {
            throw layer.fail("its size must be two whole numbers")
        }
        guard hasFixedSize else {
            throw layer.fail("it resizes an input of any size, which graft does not run")
        }
        if size == [shape[2], shape[3]] { return x }
        guard shape[2] > 0, shape[3] > 0, size[0] % shape[2] == 0, size[1] % shape[3] == 0,
            interpolation == "bilinear" || interpolation == "nearest"
        else {
            throw layer.fail(
                "it resizes \(shape[2]) × \(shape[3]) to \(size[0]) × \(size[1]) "
                    + "(\(interpolation)), which graft does not run")
        }
        return try builder.add(
            .upsample(
                height: size[0] / shape[2], width: size[1] / shape[3],
                bilinear: interpolation == "bilinear"), name: name, inputs: [x])
    }

    /// The middle of a map.
    mutating func centerCropped(_ x: Int, _ layer: KerasLayerConfig, _ name: String) throws -> Int {
        let shape = builder.shapes[x]
        let (height, width) = (try layer.integer("height", 0), try layer.integer("width", 0))
        guard hasFixedSize, shape.rank == 4, height > 0, width > 0, height <= shape[2],
            width <= shape[3]
        else {
            throw layer.fail(
                "it crops \(height) × \(width) from "
                    + (hasFixedSize ? "\(shape)" : "an input of any size")
                    + ", which graft does not run")
        }
        let (top, left) = ((shape[2] - height) / 2, (shape[3] - width) / 2)
        guard top > 0 || left > 0 || shape[2] != height || shape[3] != width else { return x }
        return try builder.add(
            .pad(
                Padding(
                    top: -top, left: -left, bottom: -(shape[2] - height - top),
                    right: -(shape[3] - width - left)), value: 0), name: name, inputs: [x])
    }
}
