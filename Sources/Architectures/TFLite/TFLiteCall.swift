// A step of a TFLite graph under way into the graph.

internal import GraftSchemas
import GraftTensors

/// An operator of the file with its settings.
struct TFLiteCall {
    let step: TFLiteModel.Step
    /// The name of its first value, without those of the layers that were fused into it.
    let name: String
    private let tensors: [TFLiteModel.Entry]

    init(step: TFLiteModel.Step, number: Int, in model: TFLiteModel) {
        self.step = step
        tensors = model.tensors
        let full = step.outputs.first.map { model.tensors[$0].name } ?? ""
        let own = full.prefix { $0 != ";" }
        name = own.isEmpty ? "\(step.type)_\(number)" : String(own)
    }

    /// The reason why the step cannot be read.
    func fail(_ flaw: ForeignOperatorFlaw) -> ArchitectureError {
        .tflite(operator: name, reason: "\(step.type): \(flaw.explanation)")
    }

    /// The number of tensor `index` of the inputs.
    func input(_ index: Int = 0) throws -> Int {
        guard let tensor = optionalInput(index) else {
            throw fail(.missingInput(index))
        }
        return tensor
    }

    /// The same; nil if it is left out.
    func optionalInput(_ index: Int) -> Int? {
        guard step.inputs.indices.contains(index), step.inputs[index] >= 0 else { return nil }
        return step.inputs[index]
    }

    func output(_ index: Int = 0) throws -> Int {
        guard step.outputs.indices.contains(index) else {
            throw fail(.missingOutput(index))
        }
        return step.outputs[index]
    }

    /// The sizes of a tensor as the file has them: channels last.
    func shape(ofInput index: Int = 0) throws -> [Int] { tensors[try input(index)].shape }
    func shape(ofOutput index: Int = 0) throws -> [Int] { tensors[try output(index)].shape }

    // MARK: Settings

    func integer(_ name: String) -> Int { step.options.integers[name] ?? 0 }
    func flag(_ name: String) -> Bool { integer(name) != 0 }
    func number(_ name: String) -> Float { step.options.numbers[name] ?? 0 }

    /// The place of an axis, which counts from the end if it is negative.
    func axis(_ axis: Int, rank: Int) throws -> Int {
        let place = axis < 0 ? axis + rank : axis
        guard 0..<rank ~= place else { throw fail(.axis(axis, rank: rank)) }
        return place
    }

    /// The bounds that a fused activation sets; nil if there is none.
    func bounds() throws -> ClosedRange<Float>? {
        switch integer("activation") {
        case 0: return nil
        case 1: return 0...(.infinity)
        case 2: return -1...1
        case 3: return 0...6
        case 4: return nil
        case let other: throw fail(.activation(other))
        }
    }

    /// Whether a hyperbolic tangent is fused into it.
    var endsWithTanh: Bool { integer("activation") == 4 }

    /// The steps of a window.
    func strides() throws -> [Int] {
        let strides = [integer("stride_h"), integer("stride_w")]
        guard strides.allSatisfy((1...65536).contains) else {
            throw fail(.extents(strides))
        }
        return strides
    }

    /// The padding of a window as an attribute.
    func padding() throws -> ONNXGraph.Attribute {
        switch integer("padding") {
        case 0: return "SAME_UPPER"
        case 1: return "VALID"
        case let other: throw fail(.padding(other))
        }
    }
}
