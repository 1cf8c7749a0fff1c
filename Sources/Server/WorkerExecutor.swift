// Threads on which handlers run: they may wait for a disk, so they are not Swift's own.

import NIOPosix

/// Runs tasks on the threads of a pool.
final class WorkerExecutor: TaskExecutor {
    private let pool: NIOThreadPool

    init(threads: Int) {
        pool = NIOThreadPool(numberOfThreads: threads)
        pool.start()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // A job must run even where the pool is shut down: it would never end otherwise.
        pool.submit { [self] _ in job.runSynchronously(on: asUnownedTaskExecutor()) }
    }

    /// Ends the threads.
    func shutDown() async { try? await pool.shutdownGracefully() }
}
