// What stands outside of the handler runs once, before the first request: imports, connections, caches.

export const handler = async (event, context) => {
    const name = event.name ?? "world";
    console.log(`greeting ${name}`); // the log
    return { message: `hello ${name}` };
};
