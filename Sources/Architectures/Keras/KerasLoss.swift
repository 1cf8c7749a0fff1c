// The loss that a Keras model was compiled with: what its linear outputs mean.

import FoundationEssentials
import GraftTensors

/// The kind of loss that a Keras model was compiled with.
package enum KerasLoss: Sendable, Hashable {
    /// Binary cross-entropy: a probability per output.
    case binary
    /// Categorical cross-entropy: one of several classes.
    case categorical
    /// A distance between numbers.
    case distance(String)

    /// The loss in the metadata of a Keras file; nil where it says none that is known. With several
    /// outputs that of `output`.
    package init?(metadata: [String: String], output: String? = nil) {
        func tree(_ key: String) -> JSONTree? {
            guard let text = metadata[key], JSONTree.depth(of: text) <= 160 else { return nil }
            return try? JSONDecoder().decode(JSONTree.self, from: Data(text.utf8))
        }
        var compiled = tree("training_config") ?? .null
        if compiled["loss"] == nil {
            compiled = tree("model_config")?["compile_config"] ?? .null
        }
        var loss = compiled["loss"] ?? .null
        if let several = loss.array, several.count == 1 { loss = several[0] }
        if let output, loss["class_name"] == nil, let own = loss[output] { loss = own }
        let inner = loss["config"] ?? .null
        guard let name = loss.string ?? loss["class_name"]?.string ?? inner.string else {
            return nil
        }
        // Keras 3 writes a function as an object of class `function`.
        let called = name == "function" ? inner.string ?? name : name
        let plain = called.lowercased().filter { $0.isLetter }
        switch plain {
        case "binarycrossentropy", "binaryfocalcrossentropy": self = .binary
        case "categoricalcrossentropy", "sparsecategoricalcrossentropy",
            "categoricalfocalcrossentropy":
            self = .categorical
        case "mse", "mae", "mape", "msle", "meansquarederror", "meanabsoluteerror",
            "meanabsolutepercentageerror", "meansquaredlogarithmicerror", "huber", "huberloss",
            "logcosh":
            self = .distance(called)
        default: return nil
        }
    }
}
