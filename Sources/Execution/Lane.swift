// A compiled network and the thread that runs it: a batch can go through one of them as a whole, or
// photo by photo through several side by side.

import CDNNL
import Glibc
import GraftNetworks
import GraftTensors

/// A network compiled for a part of a batch, and for a number of threads. Any thread may run it, one at
/// a time; it is fastest on the one that ran it before, whose team of threads waits for more.
final class Lane {
    let compiler: Compiler
    let outputs: [(memory: Memory, shape: Shape)]
    /// The layers that are computed together.
    let groups: [Group]
    private let inputs: [(memory: Memory, count: Int)]

    init(
        graph: Graph, weights: StateDict, inputs: [ValueType], outputs: [ValueID],
        options: ExecutionOptions,
        planFile: PlanFile?, observer: Magnitudes? = nil
    ) throws {
        compiler = try Compiler(
            graph: graph, weights: weights, inputs: inputs, options: options, planFile: planFile)
        // Work is divided, and scratch memory made, for as many threads as will run it.
        let (memories, outputs, groups) = try Threads.with(compiler.threads) { [compiler] in
            try Self.compile(outputs, with: compiler, observer: observer)
        }
        self.inputs = zip(memories, inputs).map { ($0, $1.shape.count) }
        self.outputs = outputs
        self.groups = groups
    }

    private static func compile(
        _ outputs: [ValueID], with compiler: Compiler, observer: Magnitudes?
    ) throws -> (inputs: [Memory], outputs: [(memory: Memory, shape: Shape)], groups: [Group]) {
        let pass = try ForwardPass(compiler, outputs: Set(outputs.map(\.node)), observer: observer)
        var list: [(memory: Memory, shape: Shape)] = []
        for value in outputs {
            let shape = compiler.types[value.node][value.output].shape
            list.append(
                (try compiler.plain(try pass.value(of: value), of: shape), shape))
        }
        for (memory, _) in list {
            compiler.arena.use(memory.buffer, at: compiler.steps.count)
        }
        try compiler.arena.settle()
        return (pass.inputs, list, pass.plan.groups)
    }

    /// The memory of values and scratch space.
    var byteCount: Int { compiler.arena.byteCount + compiler.scratch.byteCount }

    /// Runs one part of a batch: reads its inputs, and writes each output.
    func run(
        _ sources: [UnsafePointer<Float>], into targets: [UnsafeMutablePointer<Float>]
    ) throws {
        for (input, source) in zip(inputs, sources) {
            input.memory.floats.update(from: source, count: input.count)
        }
        try Threads.with(compiler.threads) {
            for step in compiler.steps { try step.run() }
            try compiler.wait()
        }
        for ((memory, shape), target) in zip(outputs, targets) {
            target.update(from: memory.floats, count: shape.count)
        }
    }
}

/// A thread that does one task after another and sleeps between.
final class Worker {
    /// The state that the thread and its owner share, under a lock.
    private final class Desk: @unchecked Sendable {
        private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
        private var work: (() -> Void)?
        private var isOver = false

        init() {
            pthread_mutex_init(lock, nil)
            pthread_cond_init(changed, nil)
        }

        deinit {
            pthread_cond_destroy(changed)
            pthread_mutex_destroy(lock)
            changed.deallocate()
            lock.deallocate()
        }

        func put(_ body: @escaping () -> Void) {
            pthread_mutex_lock(lock)
            while work != nil { pthread_cond_wait(changed, lock) }
            work = body
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(lock)
        }

        func wait() {
            pthread_mutex_lock(lock)
            while work != nil { pthread_cond_wait(changed, lock) }
            pthread_mutex_unlock(lock)
        }

        func end() {
            pthread_mutex_lock(lock)
            isOver = true
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(lock)
        }

        func loop() {
            while true {
                pthread_mutex_lock(lock)
                while work == nil, !isOver { pthread_cond_wait(changed, lock) }
                let body = work
                pthread_mutex_unlock(lock)
                guard let body else { return }
                body()
                pthread_mutex_lock(lock)
                work = nil
                pthread_cond_broadcast(changed)
                pthread_mutex_unlock(lock)
            }
        }
    }
    private let desk = Desk()

    /// Nil if the system has no thread left.
    init?() {
        var thread = pthread_t()
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, 8 << 20)
        let context = Unmanaged.passRetained(desk)
        let status = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                Unmanaged<Desk>.fromOpaque(context).takeRetainedValue().loop()
                return nil
            }, context.toOpaque())
        pthread_attr_destroy(&attributes)
        guard status == 0 else {
            context.release()
            return nil
        }
        pthread_detach(thread)
    }

    deinit { desk.end() }

    /// Starts `body` once what came before is done. What it uses must last until ``wait()``.
    func start(_ body: @escaping () -> Void) { desk.put(body) }

    /// Waits until nothing is left to do.
    func wait() { desk.wait() }
}
