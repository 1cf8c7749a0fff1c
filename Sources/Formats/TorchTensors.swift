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
        "model_state", "state_dict_ema", "model_ema", "ema_state_dict", "ema", "ema_model",
        "params_ema",
    ]

    /// The state dict in `value`: that under the key `wanted`, or under one of the names that
    /// training programs use, or all of it. Gives also whether `wanted` was such a key.
    func state(_ value: PickleValue, wanted: String? = nil) throws -> (
        state: StateDict, isWanted: Bool
    ) {
        var state = StateDict()
        var value = value
        var isWanted = false
        if let wanted, let found = find(wanted, in: value) {
            value = found
            isWanted = true
        } else if let items = dictionary(value) {
            let found = Self.usual.filter { key in
                guard let item = items[key] else { return false }
                if case .tensor = item { return false }
                return holdsTensors(item)
            }
            if let first = found.first, let inner = items[first] {
                value = inner
                if found.count > 1 {
                    state.remarks.append(.chosen(first, others: Array(found.dropFirst())))
                }
            }
        }
        // The attributes of an object around it all (`SimpleNamespace`).
        if case .object(let index) = value, module(index) == nil, dictionary(value) == nil,
            dictionary(items: machine.objects[index].state) != nil
        {
            value = machine.objects[index].state
        }
        if case .object(let index) = value, module(index) != nil {
            state.remarks.append(.module(className(index)))
        }
        var budget = 1_000_000
        try collect(value, name: "", depth: 0, budget: &budget, into: &state)
        guard !state.tensors.isEmpty else {
            guard let name = machine.classNames.first else {
                throw source.unsupported(.noTensor(needs: nil))
            }
            throw source.unsupported(.noTensor(needs: name))
        }
        // Views of one storage may be large, each; not all together.
        var total = 0
        for tensor in state.tensors.values {
            total += tensor.byteCount / 1000
            guard total <= fileByteCount else {
                throw source.malformed(.torch(.largeTensors))
            }
        }
        return (state, isWanted)
    }

    /// The items of a dictionary, or of an instance of a class that descends from it.
    private func dictionary(_ value: PickleValue) -> OrderedDictionary<String, PickleValue>? {
        switch value {
        case .dict(let index): machine.dicts[index]
        case .object(let index): dictionary(items: machine.objects[index].items)
        default: nil
        }
    }

    private func dictionary(items: PickleValue) -> OrderedDictionary<String, PickleValue>? {
        if case .dict(let index) = items { machine.dicts[index] } else { nil }
    }

    /// The value under a key, or under keys joined by dots.
    private func find(_ path: String, in value: PickleValue) -> PickleValue? {
        var value = value
        var rest = path[...]
        for _ in 0..<32 {
            guard let items = dictionary(value) else { return nil }
            if let found = items[String(rest)] { return holdsTensors(found) ? found : nil }
            guard let dot = rest.firstIndex(of: "."), let next = items[String(rest[..<dot])] else {
                return nil
            }
            (value, rest) = (next, rest[rest.index(after: dot)...])
        }
        return nil
    }

    /// Whether there is a tensor among the first values of a state dict or module.
    private func holdsTensors(_ value: PickleValue) -> Bool {
        var budget = 10_000
        return holdsTensors(value, depth: 0, &budget)
    }

    private func holdsTensors(_ value: PickleValue, depth: Int, _ budget: inout Int) -> Bool {
        budget -= 1
        guard depth < 8, budget > 0 else { return false }
        if case .tensor = value { return true }
        if case .object(let index) = value, let parts = module(index) {
            budget -= parts.count
            return parts.contains { holdsTensors($0.value, depth: depth + 1, &budget) }
        }
        for item in dictionary(value)?.values.elements ?? [] {
            if holdsTensors(item, depth: depth + 1, &budget) { return true }
        }
        return false
    }

    private func className(_ object: Int) -> String {
        machine.classNames[machine.objects[object].className]
    }

    /// The parameters, buffers and children of a pickled `torch.nn.Module`, by name, as its
    /// `state_dict()` lists them; nil for an instance of something else.
    private func module(_ object: Int) -> [(name: String, value: PickleValue)]? {
        guard let state = dictionary(items: machine.objects[object].state),
            let parameters = state["_parameters"].flatMap({ dictionary($0) }),
            let buffers = state["_buffers"].flatMap({ dictionary($0) }),
            let children = state["_modules"].flatMap({ dictionary($0) })
        else { return nil }
        var passing: Set<String> = []
        if case .list(let index)? = state["_non_persistent_buffers_set"],
            machine.lists[index].count <= buffers.count
        {
            for case .string(let name) in machine.lists[index] { passing.insert(name) }
        }
        return parameters.map { ($0.key, $0.value) }
            + buffers.filter { !passing.contains($0.key) }.map { ($0.key, $0.value) }
            + children.map { ($0.key, $0.value) }
    }

    private func collect(
        _ value: PickleValue, name: String, depth: Int, budget: inout Int,
        into state: inout StateDict
    ) throws {
        budget -= 1
        guard depth < 32, budget > 0 else {
            throw source.malformed(.torch(.deepDictionaries))
        }
        guard name.utf8.count <= 4096 else {
            throw source.malformed(
                .torch(
                    .longName(String(name.prefix(80)), found: name.utf8.count, limit: 4096)))
        }
        let prefix = name.isEmpty ? "" : name + "."
        func each(_ values: some Sequence<(name: String, value: PickleValue)>) throws {
            for (key, item) in values {
                try collect(
                    item, name: prefix + key, depth: depth + 1, budget: &budget, into: &state)
            }
        }
        switch value {
        case .tensor(let index):
            let name = name.isEmpty ? "tensor" : name
            guard state[name] == nil else {
                throw source.malformed(.torch(.duplicate(tensor: name)))
            }
            state[name] = try tensor(machine.tensors[index], name)
        case .dict(let index): try each(machine.dicts[index].lazy.map { ($0.key, $0.value) })
        case .list(let index):
            try each(machine.lists[index].lazy.enumerated().map { ("\($0)", $1) })
        case .tuple(let index):
            try each(machine.tuples[index].lazy.enumerated().map { ("\($0)", $1) })
        case .object(let index):
            if let parts = module(index) {
                try each(parts)
            } else if let items = dictionary(items: machine.objects[index].items) {
                try each(items.lazy.map { ($0.key, $0.value) })
            } else {
                skip(className(index), name, &state)
            }
        default: break
        }
    }

    /// Says so where something that was left opaque would have been a tensor.
    private func skip(_ className: String, _ name: String, _ state: inout StateDict) {
        let isTensor =
            className.hasPrefix("torch._utils._rebuild") || className.hasPrefix("torch._tensor.")
            || (className.hasPrefix("torch.") && className.hasSuffix("Storage"))
        let isArray = className.hasPrefix("numpy.") && className.hasSuffix("._reconstruct")
        guard isTensor || isArray, state.remarks.count < 100 else { return }
        state.remarks.append(
            .skipped(
                name,
                reason: isArray
                    ? "a NumPy array in a pickle, which graft does not read"
                    : "a tensor of a kind that graft does not read (`\(className)`)"))
    }

    private func tensor(_ reference: PickleMachine.TensorReference, _ name: String) throws
        -> LazyTensor
    {
        let storage = machine.storages[reference.storage]
        guard let place = places[storage.key] else {
            throw source.malformed(.torch(.noStorage(tensor: name, storage: storage.key)))
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
        else { throw source.malformed(.torch(.impossibleShape(tensor: name, shape))) }
        let first = end
        if byteCount > 0 {
            for (size, stride) in zip(reference.sizes, reference.strides) { add(size - 1, stride) }
            add(1, 1)
        }
        guard !overflow, end <= available else {
            throw source.malformed(.torch(.outside(tensor: name, storageCount: available)))
        }
        return LazyTensor(dtype, shape, strides: reference.strides) {
            let (bytes, start) = try place.find()
            return (bytes, start + first * width)
        }
    }
}
