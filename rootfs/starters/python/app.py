# What stands outside of the handler runs once, before the first request: imports, connections, caches.


def handler(event, context):
    name = event.get("name", "world")
    print(f"greeting {name}")  # the log
    return {"message": f"hello {name}"}
