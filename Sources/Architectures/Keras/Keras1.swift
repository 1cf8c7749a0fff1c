// The settings of Keras 1, in the words of Keras 2.

import GraftTensors

/// Keras 1 called the settings of layers otherwise.
enum Keras1 {
    /// The class and settings of a layer, translated where they are those of Keras 1.
    ///
    /// - Throws: `ArchitectureError` for what later versions do not have.
    static func modern(_ kind: String, _ config: JSONTree, name: String) throws -> (
        kind: String, config: JSONTree
    ) {
        guard case .object(var settings) = config else { return (kind, config) }
        var kind = kind
        let old = [
            "nb_filter", "nb_row", "border_mode", "dim_ordering", "output_dim", "subsample", "bias",
            "atrous_rate",
        ]
        let isOld =
            old.contains { settings[$0] != nil } || (kind == "Dropout" && settings["p"] != nil)
            || (kind == "Merge" && settings["mode"] != nil)
            || (kind == "BatchNormalization" && settings["mode"] != nil)
        guard isOld else { return (kind, config) }
        func fail(_ reason: String) -> ArchitectureError {
            .keras(layer: name, reason: "a layer of Keras 1: \(reason)")
        }
        func move(_ old: String, _ new: String) {
            if let value = settings.removeValue(forKey: old), settings[new] == nil {
                settings[new] = value
            }
        }
        move("nb_filter", "filters")
        if let rows = settings["nb_row"], let columns = settings["nb_col"] {
            settings["kernel_size"] = [rows, columns]
        }
        move("subsample", "strides")
        move("border_mode", "padding")
        move("bias", "use_bias")
        move("output_dim", "units")
        move("atrous_rate", "dilation_rate")
        if ["Dropout", "SpatialDropout2D", "GaussianDropout"].contains(kind) { move("p", "rate") }
        switch settings["dim_ordering"]?.string {
        case "th": settings["data_format"] = "channels_first"
        case "tf": settings["data_format"] = "channels_last"
        default: break
        }
        if kind == "AtrousConvolution2D" { kind = "Conv2D" }
        if kind == "ZeroPadding2D", let around = settings["padding"]?.array, around.count == 4 {
            settings["padding"] = [[around[0], around[1]], [around[2], around[3]]]
        }
        if kind == "BatchNormalization", let mode = settings["mode"]?.integer, mode != 0 {
            throw fail("its mode is \(mode), expected 0")
        }
        if kind == "Merge" {
            let modes = [
                "sum": "Add", "mul": "Multiply", "ave": "Average", "concat": "Concatenate",
            ]
            let mode = settings["mode"]?.string ?? "a function"
            guard let layer = modes[mode] else { throw fail("it merges by \(mode)") }
            kind = layer
            move("concat_axis", "axis")
        }
        if kind == "Deconvolution2D" || kind == "MaxoutDense" || kind == "Highway" {
            throw fail("graft does not know `\(kind)`")
        }
        return (kind, .object(settings))
    }
}
