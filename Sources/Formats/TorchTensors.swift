// From a pickle's description of tensors to a state dict over the mapped storages.

import GraftTensors
import OrderedCollections

/// Names the tensors of a pickle and finds their numbers.
struct TorchTensors {
    private let machine: PickleMachine
    private let places: [String: TorchFile.Place]
    private let fileByteCount: Int
    private let source: Source

    init(
        _ machine: PickleMachine, _ places: [String: TorchFile.Place], _ fileByteCount: Int,
        _ source: Source
    ) {
        self.machine = machine
        self.places = places
        self.fileByteCount = fileByteCount
        self.source = source
    }

    /// Where training programs put the weights, in the order in which loaders look for them.
    private static let usual = [
        "state_dict", "model_state_dict", "model", "module", "net", "network", "params", "weights",
        "state_dict_ema", "model_ema", "ema_state_dict", "ema", "params_ema",
    ]

    /// The state dict in `value`; training checkpoints carry it under one of a few names.
    func state(_ value: PickleValue) throws -> StateDict {
        var value = value
        if case .dict(let index) = value {
            for key in Self.usual {
                if case .dict(let inner) = machine.dicts[index][key], !machine.dicts[inner].isEmpty
                {
                    value = .dict(inner)
                    break
                }
            }
        }
        var state = StateDict()
        var budget = 1_000_000
        try collect(value, name: "", depth: 0, budget: &budget, into: &state)
        guard !state.tensors.isEmpty else {
            throw source.unsupported(
                "there is no tensor in it", hint: "save the `state_dict()` of the model")
        }
        // Views of one storage may be large, each; not all together.
        var total = 0
        for tensor in state.tensors.values {
            total += tensor.byteCount / 1000
            guard total <= fileByteCount else {
                throw source.malformed("its tensors are over 1000 times as large as the file")
            }
        }
        return state
    }

    private func collect(
        _ value: PickleValue, name: String, depth: Int, budget: inout Int,
        into state: inout StateDict
    ) throws {
        budget -= 1
        guard depth < 32, budget > 0 else {
            throw source.malformed("its dictionaries nest too deep, or contain themselves")
        }
        guard name.utf8.count <= 4096 else {
            throw source.malformed(
                "the name `\(name.prefix(80))…` has \(name.utf8.count) bytes, expected at most 4096"
            )
        }
        let prefix = name.isEmpty ? "" : name + "."
        switch value {
        case .tensor(let index):
            let name = name.isEmpty ? "tensor" : name
            guard state[name] == nil else {
                throw source.malformed("two tensors are called `\(name)`")
            }
            state[name] = try tensor(machine.tensors[index], name)
        case .dict(let index):
            for (key, item) in machine.dicts[index] {
                try collect(
                    item, name: prefix + key, depth: depth + 1, budget: &budget, into: &state)
            }
        case .list(let index):
            for (key, item) in machine.lists[index].enumerated() {
                try collect(
                    item, name: "\(prefix)\(key)", depth: depth + 1, budget: &budget, into: &state)
            }
        case .tuple(let index):
            for (key, item) in machine.tuples[index].enumerated() {
                try collect(
                    item, name: "\(prefix)\(key)", depth: depth + 1, budget: &budget, into: &state)
            }
        default: break
        }
    }

    private func tensor(_ reference: PickleMachine.TensorReference, _ name: String) throws
        -> LazyTensor
    {
        let storage = machine.storages[reference.storage]
        guard let place = places[storage.key] else {
            throw source.malformed("`\(name)` uses the storage `\(storage.key)`, which is missing")
        }
        let dtype = reference.scalar.dtype
        let width = dtype.byteCount
        let shape = Shape(reference.sizes)
        let available = place.byteCount / width
        // The last element it touches, plus one, must lie in the storage.
        var end = reference.offset
        var overflow = false
        func add(_ steps: Int, _ stride: Int) {
            let (product, first) = steps.multipliedReportingOverflow(by: stride)
            let (sum, second) = end.addingReportingOverflow(product)
            end = sum
            overflow = overflow || first || second
        }
        add(storage.viewOffset, 1)
        guard
            let byteCount = shape.checkedByteCount(dtype),
            byteCount / 1000 <= fileByteCount
        else { throw source.malformed("`\(name)` has the impossible shape \(shape)") }
        let first = end
        if byteCount > 0 {
            for (size, stride) in zip(reference.sizes, reference.strides) { add(size - 1, stride) }
            add(1, 1)
        }
        guard !overflow, end <= available else {
            throw source.malformed(
                "`\(name)` ends past its storage of \(available) elements")
        }
        return LazyTensor(dtype, shape, strides: reference.strides) {
            let (bytes, start) = try place.find()
            return (bytes, start + first * width)
        }
    }
}
