// How Keras' versions spell the same weight, in one spelling: `layer/variable`.

/// The names of weights in Keras files.
enum KerasNames {
    /// `conv1_conv/kernel:0` in group `conv1_conv` is `conv1_conv/kernel`; Keras 1's
    /// `block1_conv1_W_1:0` is `block1_conv1/kernel`; a nested model's name comes first.
    static func name(layer: String, weight: String) -> String {
        var parts = weight.split(separator: "/").map(String.init)
        guard let last = parts.popLast() else { return layer }
        let variable = withoutNumber(last)
        if parts.isEmpty, variable.hasPrefix(layer + "_") {
            return layer + "/" + keras1(String(variable.dropFirst(layer.count + 1)))
        }
        // The models around a layer may be named before it: `sequential/dense/kernel` in `dense`.
        if parts.last == layer || parts.joined(separator: "/") == layer {
            return "\(layer)/\(variable)"
        }
        // TensorFlow makes a scope unique by a number: `conv1_1/kernel:0` in group `conv1`.
        if let first = parts.first, first == layer || (parts.count == 1 && isNumbered(first, layer))
        {
            parts.removeFirst()
        }
        return ([layer] + parts + [variable]).joined(separator: "/")
    }

    /// `kernel:0` is `kernel`: TensorFlow numbers the outputs of what makes a variable.
    static func withoutNumber(_ variable: String) -> String {
        guard let colon = variable.lastIndex(of: ":"), colon != variable.startIndex,
            variable[variable.index(after: colon)...].allSatisfy(\.isNumber)
        else { return variable }
        return String(variable[..<colon])
    }

    private static func isNumbered(_ scope: String, _ layer: String) -> Bool {
        scope.hasPrefix(layer + "_")
            && scope.dropFirst(layer.count + 1).allSatisfy { $0.isASCII && $0.isNumber }
    }

    /// `W_1`, `b_1`, `running_mean`… of Keras 1.
    private static func keras1(_ variable: String) -> String {
        var name = variable
        if let underscore = name.lastIndex(of: "_"),
            name[name.index(after: underscore)...].allSatisfy({ $0.isASCII && $0.isNumber })
        {
            name = String(name[..<underscore])
        }
        let spelled = [
            "W": "kernel", "b": "bias", "running_mean": "moving_mean",
            "running_std": "moving_variance",
        ]
        return spelled[name] ?? name
    }

    /// `conv2d_12` is a `conv2d`.
    static func layerClass(_ group: String) -> String {
        guard let underscore = group.lastIndex(of: "_"),
            group[group.index(after: underscore)...].allSatisfy({ $0.isASCII && $0.isNumber })
        else { return group }
        return String(group[..<underscore])
    }

    /// The name of variable `index` of `count` in a layer of a known class.
    static func variable(_ index: Int, of count: Int, layerClass: String) -> String? {
        let names: [String]
        switch layerClass {
        case "conv1d", "conv2d", "conv3d", "conv2d_transpose", "dense": names = ["kernel", "bias"]
        case "depthwise_conv2d": names = ["depthwise_kernel", "bias"]
        case "separable_conv2d": names = ["depthwise_kernel", "pointwise_kernel", "bias"]
        case "batch_normalization":
            let all = ["gamma", "beta", "moving_mean", "moving_variance"]
            // Without scale there is no gamma (Inception); the last two are always there.
            names = Array(all.suffix(count))
        case "layer_normalization", "group_normalization":
            names = Array(["gamma", "beta"].prefix(count))
        case "normalization": names = ["mean", "variance", "count"]
        case "embedding": names = ["embeddings"]
        case "p_re_lu": names = ["alpha"]
        default: return nil
        }
        return index < names.count && count <= names.count ? names[index] : nil
    }
}
