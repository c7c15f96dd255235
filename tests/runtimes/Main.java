// SPDX-License-Identifier: Apache-2.0
// What a Java program does: threads, just-in-time compilation, garbage, files, a server on its own loopback, a program.
import java.io.*;
import java.net.*;
import java.nio.file.*;
import java.util.concurrent.*;
import java.util.stream.*;

public class Main {
    static long count(int n) {
        long sum = 0;
        for (int i = 0; i < n; i++)
            sum += Integer.toString(i).hashCode() & 7; // hot, and it leaves garbage
        return sum;
    }

    static void serveOnce(ServerSocket server) {
        try (Socket s = server.accept()) {
            s.getOutputStream().write(s.getInputStream().read() + 1);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static void main(String[] arguments) throws Exception {
        long compiled = 0;
        for (int round = 0; round < 20; round++)
            compiled += count(50000);
        ExecutorService pool = Executors.newFixedThreadPool(4);
        int threads = pool.invokeAll(IntStream.range(0, 4).mapToObj(i -> (Callable<Integer>) () -> i).collect(Collectors.toList())).size();
        ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        pool.submit(() -> serveOnce(server));
        int answer;
        try (Socket s = new Socket(server.getInetAddress(), server.getLocalPort())) {
            s.getOutputStream().write(41);
            answer = s.getInputStream().read();
        }
        pool.shutdown();
        Path file = Files.writeString(Files.createTempFile("made", ".txt"), "written");
        String read = Files.readString(file);
        int status = new ProcessBuilder("/usr/bin/true").start().waitFor();
        System.gc();
        Thread.sleep(5);
        byte[] event = System.in.readAllBytes();
        System.out.println("java " + (compiled > 0) + " " + threads + " " + answer + " " + read + " " + status + " " + event.length);
    }
}
