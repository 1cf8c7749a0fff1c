// Interleaved groups of channels in ONNX and Keras, which have them as three steps.

import GraftNetworks
import GraftTensors

extension Op.ChannelShuffle: ExportableOp {
    /// Its reading is that of the three operators (``ONNXValue/split(_:groups:)``).
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        let channels = site.after[1]
        let sizes = [site.after[2], site.after[3]]
        let split = graph.constant(
            [0, groups, channels / groups] + sizes, name: site.name + ".split")
        let joined = graph.constant([0, channels] + sizes, name: site.name + ".joined")
        let parts = graph.emit("Reshape", name: site.name + ".parts", inputs: [site.x, split])
        let turned = graph.emit(
            "Transpose", name: site.name + ".turned", inputs: [parts],
            attributes: ["perm": [0, 2, 1, 3, 4]])
        return graph.emit("Reshape", name: site.name, inputs: [turned, joined])
    }

    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        let channels = site.after[1]
        let sizes = [site.after[2], site.after[3]]
        let split = model.layer(
            "Reshape", at: site, suffix: "_split",
            config: ["target_shape": .integers(sizes + [groups, channels / groups])])
        let turned = model.layer(
            "Permute", at: site, suffix: "_permute", reading: [split],
            config: ["dims": [1, 2, 4, 3]])
        return model.layer(
            "Reshape", at: site, reading: [turned],
            config: ["target_shape": .integers(sizes + [channels])])
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { inputs.allSatisfy(\.self) }
}
