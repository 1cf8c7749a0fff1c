// The names of layers in Keras files: nested models, numbers that count on, two nodes of a layer.

import GraftTensors

extension Graph {
    /// Names without the models that layers are nested in: `stem/stem_conv/kernel` is
    /// `stem_conv/kernel`. Left out where two would be the same.
    func inner(_ names: some Collection<String>) -> [String: String] {
        var result: [String: String?] = [:]
        for name in names {
            let parts = canonical(name).split(separator: "/")
            guard parts.count > 2 else { continue }
            let short = parts.suffix(2).joined(separator: "/")
            result.updateValue(result[short] == nil ? name : nil, forKey: short)
        }
        return result.compactMapValues { $0 }
    }

    /// Layers that nobody named have numbers that count on over a session: the file's `conv2d_5`,
    /// `conv2d_6`… are this network's `conv2d`, `conv2d_1`… if they are as many.
    func renumbered(_ files: [String: String]) -> [String: String] {
        func families(_ names: some Sequence<String>) -> [String: Set<Int>] {
            var result: [String: Set<Int>] = [:]
            for name in names {
                guard let layer = name.split(separator: "/").first,
                    let (base, number) = Self.counted(layer)
                else { continue }
                result[base, default: []].insert(number)
            }
            return result
        }
        let mine = families(parameters.map(\.name))
        let theirs = families(files.keys)
        var result: [String: String] = [:]
        for (base, numbers) in mine {
            guard let others = theirs[base], others.count == numbers.count, others != numbers
            else { continue }
            let places = Dictionary(
                zip(others.sorted(), numbers.sorted()), uniquingKeysWith: { first, _ in first })
            for (name, file) in files {
                guard let slash = name.firstIndex(of: "/"),
                    let (family, number) = Self.counted(name[..<slash]), family == base,
                    let place = places[number]
                else { continue }
                result[(place == 0 ? base : "\(base)_\(place)") + name[slash...]] = file
            }
        }
        return result
    }

    /// `conv2d_12` is the 12th of `conv2d`; only names that Keras itself gives.
    private static func counted(_ layer: Substring) -> (String, Int)? {
        let automatic = [
            "conv2d", "batch_normalization", "normalization", "layer_normalization", "dense",
        ]
        for base in automatic {
            if layer == base { return (base, 0) }
            if layer.hasPrefix(base + "_"), let number = Int(layer.dropFirst(base.count + 1)) {
                return (base, number)
            }
        }
        return nil
    }

    /// Whether the weights of both nodes belong to one layer: a separable convolution is two nodes.
    func sharesLayer(_ a: Int, _ b: Int) -> Bool {
        guard let one = nodes[a].parameters.first, let other = nodes[b].parameters.first else {
            return false
        }
        return one.layer == other.layer
    }
}
